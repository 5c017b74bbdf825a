"""Sessions: begin, list, look at, delete; their labels and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from vista3d.inference.interactive.masks import values_of
from vista3d.server.body import receive_raw
from vista3d.server.exports import object_mask
from vista3d.server.label_file import read_label_file
from vista3d.server.labels_wire import format_box, pack, parse_box
from vista3d.server.routes.common import API, Id, Served
from vista3d.server.schemas import (
    EditOut,
    NewSession,
    SessionListed,
    SessionOut,
    edit_out,
    session_out,
)
from vista3d.server.service import Service
from vista3d.server.view import Edit, labels_in
from vista3d.volume import Volume

_FILE = {
    "requestBody": {
        "required": True,
        "description": "The file itself (.nii, .nii.gz, .nrrd, .mha), not a form.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter(prefix=f"{API}/sessions", tags=["sessions"])


@router.post("", status_code=201)
def begin(service: Served, body: NewSession) -> SessionOut:
    """A new session on a study."""
    return _state(service, service.sessions.create(body.study))


@router.get("")
def list_sessions(service: Served) -> list[SessionListed]:
    """All, the last changed first; none is opened for this."""
    return [
        SessionListed(
            id=row.id, study=row.study, revision=row.revision, created=row.created,
            updated=row.updated,
        )
        for row in service.sessions.listed()
    ]  # fmt: skip


@router.get("/{session}")
def get_session(service: Served, session: Id) -> SessionOut:
    """The session now; one that was put away is opened again."""
    return _state(service, session)


@router.delete("/{session}", status_code=204)
def delete_session(service: Served, session: Id) -> None:
    """Delete a session and everything in it."""
    service.delete_session(session)


@router.get("/{session}/labels", response_class=Response)
def labels(service: Served, session: Id, box: str | None = None) -> Response:
    """Object ids as uint16, little endian, i fastest, gzip; of the whole scan or a box."""
    with service.sessions.lease(session) as held:
        view, shape = held.view, held.session.volume.geometry.shape
    i, j, k = shape
    part = parse_box(box or f"0,{i},0,{j},0,{k}", shape)
    headers = {
        "Content-Encoding": "gzip",
        "X-Revision": str(view.revision),
        "X-Box": format_box(part),
    }
    data = pack(labels_in(view.objects, part))
    return Response(data, headers=headers, media_type="application/octet-stream")


@router.get("/{session}/objects/{number}/mask", response_class=Response)
def get_mask(service: Served, session: Id, number: int) -> Response:
    """One object as uint8 .nii.gz, exact where objects overlap."""
    with service.sessions.lease(session) as held:
        view, volume = held.view, held.session.volume
    with service.storage.incoming() as folder:
        path = folder / "mask.nii.gz"
        object_mask(view, number, volume, path)
        data = path.read_bytes()
    return Response(data, media_type="application/gzip")


@router.put("/{session}/objects/{number}/mask", openapi_extra=_FILE)
async def put_mask(service: Served, session: Id, number: int, request: Request) -> EditOut:
    """Start an object from a mask on the study's grid; its clicks are dropped."""

    def work(mask: Volume) -> Edit:
        return service.set_mask(session, number, mask.array)

    return await _with_mask(service, session, request, work)


@router.post("/{session}/labels", openapi_extra=_FILE)
async def post_labels(
    service: Served,
    session: Id,
    request: Request,
    name: Annotated[str | None, Query(min_length=1, max_length=120)] = None,
) -> EditOut:
    """Make an object of every value of a label map (NIfTI, NRRD, MetaImage) on the study's grid.

    Names are those that the file states, as 3D Slicer, TotalSegmentator and `vista3d segment`
    write them; `name` is that of a single value without one.
    """

    def work(mask: Volume) -> Edit:
        names = mask.meta.labels
        if name and len(values := values_of(mask.array)) == 1:
            names = {values[0]: name, **names}
        return service.add_labels(session, mask.array, names)

    return await _with_mask(service, session, request, work)


async def _with_mask(
    service: Service, session: str, request: Request, work: Callable[[Volume], Edit]
) -> EditOut:
    """An edit by the mask or label map that a request's body is."""
    with service.storage.incoming() as folder:
        path = folder / "mask"
        await receive_raw(service, request, path)

        def edited() -> EditOut:
            with service.sessions.lease(session) as held:
                geometry = held.session.volume.geometry
            return edit_out(work(read_label_file(path, geometry, service.limits)))

        return await run_in_threadpool(edited)


def _state(service: Service, session: str) -> SessionOut:
    with service.sessions.lease(session) as held:
        return session_out(session, held.study, held.view, held.session.volume.affine)
