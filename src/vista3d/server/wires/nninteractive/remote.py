"""The endpoints of nnInteractive's protocol."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from vista3d import __version__
from vista3d.errors import UsageError
from vista3d.server.body import receive_raw
from vista3d.server.service import Service
from vista3d.server.upload import Received
from vista3d.server.wires.nninteractive.arrays import unpack
from vista3d.server.wires.nninteractive.image import write_scan
from vista3d.server.wires.nninteractive.leases import LIVENESS, Lease, Leases
from vista3d.server.wires.nninteractive.replies import META, prediction
from vista3d.server.wires.nninteractive.scene import Change, Scene
from vista3d.server.wires.options import Options

Token = Annotated[str | None, Header(alias="X-Lease-Token")]
Meta = Annotated[str | None, Header(alias=META)]

_Triple = Annotated[list[float], Field(min_length=3, max_length=3)]


class Point(BaseModel):
    """A click, in voxels of the client's array."""

    coordinates: _Triple
    include_interaction: bool
    run_prediction: bool = True


class Target(BaseModel):
    """The client's own mask; nothing of this size is kept here."""

    shape: Annotated[list[int], Field(min_length=3, max_length=3)]
    dtype: Literal["bool", "uint8", "uint16", "int8", "int16", "int32", "int64", "float32"]


class Remote:
    """The endpoints.

    Args:
        service: of the server.
        options: `axes`, `object_class`, `leases`.
    """

    def __init__(self, service: Service, options: Options) -> None:
        self._service, self._options = service, options
        self.leases = Leases(options.leases, service.limits.idle_seconds)
        self._unpacking = threading.Lock()

    def capabilities(self) -> dict[str, Any]:
        """What clients switch their tools on and off by."""
        return {
            "supported_interactions": {
                "points": True, "bbox2d": False, "bbox3d": False, "scribble": False, "lasso": False,
            },
            "channel_mapping": {"prev_seg": 0, "points": [1, 2]},
            "num_interaction_channels": 3,
            "supports_initial_label": True,
            "supports_zero_shot_label_refinement": False,
            "preferred_scribble_thickness": [2, 2, 2],
            "interaction_decay": 1.0,
            "patch_size": list(self._service.model.meta.window),
            "do_autozoom": False,
            "inference_session_version": f"vista3d {__version__}",
            "license": self._service.model.meta.licence,
            "supports_undo": True,
        }  # fmt: skip

    def claim(self) -> dict[str, Any]:
        """Connect."""
        lease = self.leases.claim()
        return {
            "lease_token": lease.token, "idle_timeout_seconds": self.leases.idle,
            "liveness_timeout_seconds": LIVENESS, "max_sessions": self.leases.limit,
        }  # fmt: skip

    def release(self, token: Token = None) -> dict[str, bool]:
        """Disconnect: image and session are deleted, the client has its mask."""
        self.leases.release(token)
        return {"released": True}

    def heartbeat(self, token: Token = None) -> dict[str, float]:
        """A sign of life."""
        lease = self.leases.get(token, active=False)
        return {"remaining_seconds": self.leases.remaining(lease)}

    def lease_status(self, token: Token = None) -> dict[str, float]:
        """How long it lasts without an action."""
        return {**self.heartbeat(token), "idle_timeout_seconds": self.leases.idle}

    async def set_image(
        self, request: Request, token: Token = None, meta: Meta = None
    ) -> dict[str, Any]:
        """Take another image, [1, X, Y, Z] in HU."""
        lease = self.leases.get(token, active=True)
        properties = _meta(meta).get("image_properties") or {}
        if not isinstance(properties, dict):
            msg = "image_properties is an object"
            raise UsageError(msg)

        def work(path: Path) -> list[int]:
            self._take(lease, path, properties)
            return [1, *lease.drawn().shape]

        return {"original_image_shape": await self._received(request, work)}

    def set_target_buffer(self, body: Target, token: Token = None) -> dict[str, Any]:
        """Note nothing but whether it fits."""
        shape = self.leases.get(token, active=True).drawn().shape
        if tuple(body.shape) != shape:
            msg = f"the target buffer has shape {tuple(body.shape)}, the image {shape}"
            raise UsageError(msg)
        return {}

    def set_do_autozoom(self, token: Token = None) -> dict[str, Any]:
        """Windows follow the object by themselves here: there is nothing to switch."""
        self.leases.get(token, active=True)
        return {}

    def reset_interactions(self, token: Token = None) -> dict[str, Any]:
        """A new object."""
        lease = self.leases.get(token, active=True)
        with lease.alone(self._service.limits.busy_seconds):
            lease.drawn().reset()
        return {}

    def add_point(self, body: Point, token: Token = None) -> Response:
        """Click."""
        return self._interact(
            token,
            lambda scene: scene.click(
                body.coordinates, body.include_interaction, run=body.run_prediction
            ),
        )

    def predict(self, token: Token = None) -> Response:
        """Answer the clicks that wait."""
        return self._interact(token, lambda scene: scene.predict())

    def undo(self, token: Token = None) -> Response:
        """Take back the last interaction."""
        return self._interact(token, lambda scene: scene.undo())

    async def add_initial_seg(self, request: Request, token: Token = None) -> Response:
        """Begin from a mask; without clicks there is nothing to predict from it."""
        voxels = math.prod(self.leases.get(token, active=True).drawn().shape)

        def work(path: Path) -> Response:
            mask = self._unpacked(path, voxels)
            return self._interact(token, lambda scene: scene.start(mask))

        answer: Response = await self._received(request, work)
        return answer

    def unsupported(self, request: Request, token: Token = None) -> Response:
        """Boxes, scribbles, lassos: whatever the client claims about capabilities.

        Raises:
            UsageError: always.
        """
        self.leases.get(token, active=True)
        kind = request.url.path.removeprefix("/add_").removesuffix("_interaction")
        msg = f"{kind} prompts are not supported by this model (see /capabilities): use points"
        raise UsageError(msg)

    def _interact(self, token: str | None, work: Callable[[Scene], Change]) -> Response:
        lease = self.leases.get(token, active=True)
        with lease.alone(self._service.limits.busy_seconds):
            return prediction(work(lease.drawn()))

    async def _received(self, request: Request, work: Callable[[Path], Any]) -> Any:
        """The body on disk, not in memory, for as long as the work takes."""
        with self._service.storage.incoming() as folder:
            path = folder / "array"
            await receive_raw(self._service, request, path)
            return await run_in_threadpool(work, path)

    def _take(self, lease: Lease, path: Path, properties: dict[str, Any]) -> None:
        limits = self._service.limits
        array = self._unpacked(path, limits.voxels, limits.ratio)
        scan = path.with_name("scan.nii")
        write_scan(scan, array, properties, self._options.axes)
        del array
        row = self._service.studies.add([Received("files", "nnInteractive.nii", scan)])
        with contextlib.ExitStack() as undo:
            undo.callback(self._service.studies.remove, row.id)
            with lease.alone(limits.busy_seconds):
                scene = Scene(self._service, row.id, self._options.object_class)
                undo.pop_all()  # from here on the scene takes it away
                lease.put(scene)

    def _unpacked(self, path: Path, voxels: int, ratio: int | None = None) -> np.ndarray:
        if not path.stat().st_size:
            msg = "the body is empty: send an array"
            raise UsageError(msg)
        # One at a time: this is the peak of memory.
        with self._unpacking, path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return unpack(memoryview(mapped), voxels, ratio)


def _meta(text: str | None) -> dict[str, Any]:
    try:
        meta = json.loads(text or "{}")
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict):
        msg = f"{META} is not a JSON object"
        raise UsageError(msg)
    return meta
