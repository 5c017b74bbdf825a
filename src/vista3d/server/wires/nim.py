"""The REST interface of NVIDIA's VISTA-3D NIM 1.0.0 (facts: ecosystem C2).

`image` is the id or the name of a study that is here, or an address that the operator has allowed:
paths of this machine are never read.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from vista3d import __version__
from vista3d.errors import UsageError
from vista3d.inference.interactive.labelled import class_labels
from vista3d.server.service import Service
from vista3d.server.upload import Received
from vista3d.server.view import View
from vista3d.server.wire import Wire
from vista3d.server.wires.fetch import AllowedUrls
from vista3d.server.wires.files import encode
from vista3d.server.wires.images import Images
from vista3d.server.wires.uploads import temporary_study
from vista3d.server.wires.working import (
    bring_to,
    object_of,
    points_of,
    run_automatic,
    temporary_session,
)

BACKGROUND = "background"
"""The key of points that lie in none of the structures."""

_HEALTH = frozenset({"/v1/health/live", "/v1/health/ready"})

_Point = Annotated[list[float], Field(min_length=3, max_length=3)]
_Points = Annotated[list[_Point], Field(max_length=200)]


class Prompts(BaseModel):
    """What to segment; everything, where nothing is named."""

    model_config = ConfigDict(extra="forbid")

    classes: list[str | int] | None = Field(default=None, max_length=400)
    points: dict[str, _Points] | None = Field(default=None, max_length=400)


class Output(BaseModel):
    """The file in the answer."""

    model_config = ConfigDict(extra="ignore")

    extension: Literal[".nrrd", ".nii.gz", ".nii"] = ".nrrd"
    dtype: Literal["uint8", "uint16", "int16"] = "uint8"


class Ask(BaseModel):
    """The body of an inference."""

    model_config = ConfigDict(extra="ignore")

    image: str = Field(min_length=1, max_length=2000)
    prompts: Prompts | None = None
    output: Output | None = None
    local_working_dir: str | None = None


class Nim:
    """The endpoints.

    Args:
        service: of the server.
        urls: that scans may be fetched from.
    """

    def __init__(self, service: Service, urls: AllowedUrls) -> None:
        self._service, self._urls, self._images = service, urls, Images(service)

    async def infer(self, request: Request, ask: Ask) -> Response:
        """A zip with one label map of VISTA3D's class ids."""
        if ask.local_working_dir:
            msg = "nothing is written on the server's disk: leave local_working_dir out"
            raise UsageError(msg)
        output = ask.output or Output()
        service = self._service
        async with (
            self._study(ask.image) as study,
            temporary_session(service, study) as session,
        ):
            view = await self._segment(request, session, ask.prompts or Prompts())
            data = await run_in_threadpool(self._file, study, view, output)
        name = f"{study}_seg{output.extension}"
        return Response(_zipped(name, data), media_type="application/zip")

    def live(self) -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "live"}

    def ready(self) -> JSONResponse:
        """Whether it will segment."""
        ready = self._service.ready.is_set() and self._service.lane.alive
        return JSONResponse({"status": "ready" if ready else "starting"}, 200 if ready else 503)

    def licence(self) -> dict[str, str]:
        """Of the weights."""
        return {"license": self._service.model.meta.licence}

    def info(self) -> dict[str, Any]:
        """What can be asked for: name -> id."""
        vocabulary, classes = self._service.model.vocabulary, self._service.model.meta.classes
        return {
            "name": "vista3d",
            "version": __version__,
            "labels": {vocabulary.by_id(i).name: i for i in classes},
        }

    @contextlib.asynccontextmanager
    async def _study(self, image: str) -> AsyncIterator[str]:
        if "://" not in image:
            yield (await run_in_threadpool(self._images.find, image)).id
            return
        service = self._service
        with service.storage.incoming() as folder:
            path, limit = folder / "image", service.limits.upload_bytes
            service.storage.check_room(service.limits.free_disk)
            await run_in_threadpool(self._urls.download, image, path, limit)
            async with temporary_study(service, [Received("files", "image", path)]) as study:
                yield study

    async def _segment(self, request: Request, session: str, prompts: Prompts) -> View:
        points = dict(prompts.points or {})
        negative = points_of(points.pop(BACKGROUND, []), False)
        if negative and not points:
            msg = f"{BACKGROUND!r} points say what is not meant: name a structure and its points"
            raise UsageError(msg)
        unknown = [name for name in points if self._service.model.vocabulary.single(name) is None]
        if unknown:
            msg = f"points are for single structures of /v1/vista3d/info, not {unknown[0][:80]!r}"
            raise UsageError(msg)
        if prompts.classes or not points:
            await run_automatic(self._service, request, session, prompts.classes or ())
        for name, positions in points.items():
            clicks = [*points_of(positions, True), *negative]
            number = await run_in_threadpool(object_of, self._service, session, name)
            await run_in_threadpool(bring_to, self._service, session, number, clicks)
        with self._service.sessions.lease(session) as held:
            return held.view

    def _file(self, study: str, view: View, output: Output) -> bytes:
        volume = self._service.studies.open(study)
        labels, _ = class_labels(view.objects, volume.geometry.shape)
        highest = int(labels.max(initial=0))
        if highest > np.iinfo(output.dtype).max:
            msg = f"label {highest} does not fit {output.dtype}: ask for uint16"
            raise UsageError(msg)
        return encode(
            self._service, labels.astype(output.dtype), volume, output.extension, compress=True
        )


def wire(service: Service, allow_urls: tuple[str, ...] = ()) -> Wire:
    """The wire on a service."""
    nim = Nim(service, AllowedUrls(allow_urls))
    router = APIRouter(tags=["VISTA-3D NIM"])
    for method, path, endpoint in (
        ("POST", "/v1/vista3d/inference", nim.infer),
        ("GET", "/v1/vista3d/info", nim.info),
        ("GET", "/v1/license", nim.licence),
        ("GET", "/v1/health/live", nim.live),
        ("GET", "/v1/health/ready", nim.ready),
    ):
        router.add_api_route(path, endpoint, methods=[method], response_model=None)
    return Wire(router, open_paths=_HEALTH)


def _zipped(name: str, data: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # the file is compressed itself
        archive.writestr(name, data)
    return out.getvalue()
