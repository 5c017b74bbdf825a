"""What a person does in the page, and what the server holds meanwhile."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import nibabel as nib
import numpy as np
from PIL import Image

from tests.web.waiting import wait_until

Voxel = tuple[int, int, int]


class Api:
    """The server's side, asked over HTTP as any client would."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=f"{address}/api/v1", timeout=60)

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._http.close()

    def json(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()

    def labels(self, session: str) -> np.ndarray:
        """Object ids [i, j, k] of a session."""
        shape = self.json(f"/studies/{self.json(f'/sessions/{session}')['study']}")["shape"]
        data = self._http.get(f"/sessions/{session}/labels").raise_for_status().content
        return np.frombuffer(data, "<u2").reshape(shape, order="F")

    def mask(self, session: str, number: int) -> np.ndarray:
        """Bool [i, j, k] of one object, exact where objects overlap."""
        path = f"/sessions/{session}/objects/{number}/mask"
        data = gzip.decompress(self._http.get(path).raise_for_status().content)
        return np.asarray(nib.Nifti1Image.from_bytes(data).dataobj) > 0


class Annotator:
    """The open page."""

    def __init__(self, page: Any, api: Api) -> None:
        self.page, self.api = page, api

    # What is there.

    @property
    def session(self) -> str:
        return str(self.page.url.split("#session=")[1])

    @property
    def state(self) -> Any:
        return self.api.json(f"/sessions/{self.session}")

    @property
    def labels(self) -> np.ndarray:
        return self.api.labels(self.session)

    @property
    def hint(self) -> str:
        return str(self.page.locator(".notice").last.inner_text())

    def crosshair(self) -> tuple[tuple[float, ...], Voxel, int]:
        """RAS millimetres, voxel, intensity, as the line at the bottom says."""
        mm, voxel, intensity = self.page.locator("[data-testid=cursor] > span").all_inner_texts()[
            :3
        ]
        numbers = [float(v) for v in mm.removeprefix("RAS").removesuffix("mm").split(",")]
        i, j, k = (int(v) for v in voxel.removeprefix("voxel").split(","))
        return tuple(numbers), (i, j, k), int(intensity.removesuffix("HU"))

    def drawn(self) -> None:
        """Wait until what was asked for is in the picture."""
        self.page.evaluate(
            "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )

    def settled(self) -> None:
        """Wait until every edit is answered and saved."""
        self.page.locator("[data-testid=saving]", has_text="Saved").wait_for()

    def pixels(self, x: float, y: float, reach: int = 2) -> np.ndarray:
        """Mean RGB of the picture around a place of the page."""
        clip = {"x": x - reach, "y": y - reach, "width": 2 * reach + 1, "height": 2 * reach + 1}
        shot = Image.open(io.BytesIO(self.page.screenshot(clip=clip)))
        return np.asarray(shot.convert("RGB"), float).mean((0, 1))

    def place(self, across: float, down: float) -> tuple[float, float]:
        """A place of the page, as fractions of the views' width and height."""
        box = self.page.locator(".stage canvas").bounding_box()
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def download(self, menu_item: str, folder: Path) -> Path:
        """Take a format from the export menu."""
        self.page.get_by_text("Export", exact=True).click()
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=menu_item).click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    # What is done.

    def new_object(self) -> int:
        """Make an object and wait until it is the active one; its number."""
        before = {thing["id"] for thing in self.state["objects"]}
        self.page.get_by_role("button", name="New object").click()
        # An id is never given twice, also where the object that had it was undone.
        wait_until(lambda: len(self.state["objects"]) > len(before))
        (number,) = {thing["id"] for thing in self.state["objects"]} - before
        self.page.locator(f".object.active[data-object='{number}']").wait_for()
        return number

    def open(self, scan: str, layout: str = "Axial") -> None:
        """Open a scan of the server's folder in a new session."""
        self.page.goto("/")
        self.page.get_by_label("On this server").get_by_role("button", name=scan).click()
        self.ready(layout)

    def ready(self, layout: str) -> None:
        self.page.locator("[data-testid=cursor]").wait_for()
        self.page.locator(".loading").wait_for(state="detached")
        self.look(layout)

    def look(self, layout: str) -> None:
        """Choose which views are shown."""
        self.page.get_by_role("group", name="Layout").get_by_role("button", name=layout).click()
        self.drawn()

    def key(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def go(self, x: float, y: float) -> Voxel:
        """Put the crosshair to a place; which voxel is there."""
        self.key("n")
        self.page.mouse.click(x, y)
        self.drawn()
        return self.crosshair()[1]

    def click(self, x: float, y: float, button: str = "left") -> None:
        """Click with the click tool, and wait for the answer."""
        self.key("p")
        self.page.mouse.click(x, y, button=button)
        self.settled()

    def stroke(self, tool: str, *places: tuple[float, float]) -> None:
        """Draw with the brush (b) or the eraser (x)."""
        self.key(tool)
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()
        self.settled()
