"""Sessions: begin, list, look at, delete; their labels and masks."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from vista3d.server.exports import object_mask
from vista3d.server.intake import read_mask
from vista3d.server.labels_wire import format_box, pack, parse_box
from vista3d.server.routes.common import API, Id, Served, answer
from vista3d.server.schemas import EditOut, NewSession, SessionListed, SessionOut, session_out
from vista3d.server.service import Service
from vista3d.server.view import labels_in

router = APIRouter(prefix=f"{API}/sessions", tags=["sessions"])


@router.post("", status_code=201)
def begin(service: Served, body: NewSession) -> SessionOut:
    """A new session on a study."""
    return _state(service, service.sessions.create(body.study))


@router.get("")
def list_sessions(service: Served) -> list[SessionListed]:
    """All, the last changed first; none is opened for this."""
    rows = service.storage.sessions()
    return [
        SessionListed(
            id=row.id, study=row.study, revision=row.revision, created=row.created,
            updated=row.updated,
        )
        for row in rows
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


@router.put("/{session}/objects/{number}/mask")
async def put_mask(service: Served, session: Id, number: int, request: Request) -> EditOut:
    """Start an object from a NIfTI mask on the study's grid; its clicks are dropped."""
    with service.storage.incoming() as folder:
        path = folder / "mask"
        with path.open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        return await run_in_threadpool(_set_mask, service, session, number, path)


def _set_mask(service: Service, session: str, number: int, path: Path) -> EditOut:
    with service.sessions.lease(session) as held:
        geometry = held.session.volume.geometry
    mask = read_mask(path, geometry)
    edit = service.set_mask(session, number, mask)
    return answer(service, session, edit)


def _state(service: Service, session: str) -> SessionOut:
    with service.sessions.lease(session) as held:
        return session_out(session, held.study, held.view, held.session.volume.affine)
