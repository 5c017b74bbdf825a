"""A server, a browser, and the page open in it.

Pictures of what the tests saw are left in `tests-output/web`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.web.annotator import Annotator, Api

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "tests-output" / "web"
STATIC = ROOT / "src" / "vista3d" / "server" / "static"
# Without a graphics card each drawing of the 3D view costs a second: tests that want it ask for it.
ONE_PLANE = "localStorage['vista3d.layout'] ??= '\"axial\"'"
# WebGL2 without a graphics card.
SOFTWARE_GRAPHICS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


class Server:
    """`vista3d serve` in a process of its own; it can be killed and started again."""

    def __init__(self, scans: Path, storage: Path, *options: str) -> None:
        self._scans, self._storage, self._options, self._port = scans, storage, options, 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, at the same port as before."""
        command = [sys.executable, "-m", "vista3d", "serve", "--data", str(self._scans)]
        command += ["--storage", str(self._storage), "--port", str(self._port)]
        command += self._options
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                self._port = int(found[1])
                return
        raise RuntimeError(f"the server ended with code {self._process.wait()}")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; by default as a power cut would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            assert self._process.stdout is not None
            self._process.stdout.close()


@pytest.fixture(scope="session")
def scans(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a head and neck, the same turned on its side and mirrored, and a large one."""
    folder = tmp_path_factory.mktemp("scans")
    source = corpus / "Dataset101_OpenKBP" / "imagesTr" / "kbp_001_0000.nii.gz"
    shutil.copy(source, folder / "head_neck.nii.gz")
    scan = nib.load(source)
    # Axes (S, L, A): stored order and directions differ from RAS in every way.
    turned = scan.as_reoriented(
        nib.orientations.ornt_transform(
            nib.orientations.io_orientation(scan.affine), nib.orientations.axcodes2ornt("SLA")
        )
    )
    # And 10 degrees about the patient's long axis, so that no axis is straight.
    c, s = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    tilt = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    data = np.asarray(turned.dataobj).astype(np.int16)[10:, :, 5:]
    affine = turned.affine @ np.diag([1.0, 1, 1, 1])
    affine[:3, 3] += affine[:3, :3] @ [10, 0, 5]
    nib.save(nib.Nifti1Image(data, tilt @ affine), folder / "turned.nii.gz")
    # Few voxels to show and much space to segment: a run of it outlasts a reload of the page.
    coarse = np.asarray(scan.dataobj).astype(np.int16)[::2, ::2, ::2]
    zoomed = scan.affine @ np.diag([3.0, 3, 3, 1])
    nib.save(nib.Nifti1Image(coarse, zoomed), folder / "large.nii.gz")
    return folder


@pytest.fixture(scope="session")
def server(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not (STATIC / "index.html").is_file():
        pytest.skip("the annotator page is not built: make web")
    running = Server(scans, tmp_path_factory.mktemp("storage"))
    yield running
    running.kill(signal.SIGTERM)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    program = os.environ.get("VISTA3D_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium: apt-get install chromium, or set VISTA3D_CHROMIUM")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(
            executable_path=program, args=[*SOFTWARE_GRAPHICS, "--no-sandbox"]
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Any, server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A window; the test fails on any script error and any breach of the page's policy."""
    context = browser.new_context(
        viewport={"width": 1180, "height": 760}, color_scheme="dark", base_url=server.address
    )
    context.set_default_timeout(120_000)
    context.add_init_script(ONE_PLANE)
    window = context.new_page()
    complaints: list[str] = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("console", lambda message: _keep(complaints, message))
    yield window
    PICTURES.mkdir(parents=True, exist_ok=True)
    window.screenshot(path=PICTURES / f"{request.node.name}.png")
    context.close()
    assert not complaints


def _keep(complaints: list[str], message: Any) -> None:
    # A server that is away is reported by the browser itself, whatever the page does about it.
    if message.type == "error" and "Failed to load resource" not in message.text:
        complaints.append(message.text)


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    with Api(server.address) as client:
        yield client


@pytest.fixture
def annotator(page: Any, api: Api) -> Annotator:
    return Annotator(page, api)
