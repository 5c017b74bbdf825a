"""Edits of a session: objects, clicks, brush, history."""

from __future__ import annotations

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from vista3d.inference import InteractiveSession
from vista3d.server.labels_wire import parse_box, unpack_bool
from vista3d.server.routes.common import API, Id, Served
from vista3d.server.schemas import (
    ClickGone,
    Cursor,
    EditOut,
    NewClick,
    NewObject,
    ObjectChange,
    OverlapChoice,
    Reset,
    edit_out,
    overlap_of,
)

router = APIRouter(prefix=f"{API}/sessions/{{session}}", tags=["edits"])


@router.post("/objects")
def add_object(service: Served, session: Id, body: NewObject) -> EditOut:
    """A new object without a voxel; it becomes the active one."""
    return edit_out(service.add_object(session, body.name, body.class_))


@router.patch("/objects/{number}")
def change_object(service: Served, session: Id, number: int, body: ObjectChange) -> EditOut:
    """Rename, lock, unlock, recolour, activate."""

    def work(opened: InteractiveSession) -> None:
        if body.name is not None:
            opened.rename(number, body.name)
        if body.locked is not None:
            opened.lock(number, body.locked)
        if body.color is not None:
            opened.recolour(number, body.color)
        if body.active:
            opened.activate(number)

    return edit_out(service.edit(session, work))


@router.delete("/objects/{number}")
def remove_object(service: Served, session: Id, number: int) -> EditOut:
    """Take an object away."""
    return edit_out(service.edit(session, lambda s: s.remove_object(number)))


@router.post("/clicks")
def click(service: Served, session: Id, body: NewClick) -> EditOut:
    """Click, and wait for the answer."""
    x, y, z = body.position
    edit = service.click(
        session, (x, y, z), body.positive, space=body.space, object_id=body.object
    )  # fmt: skip
    return edit_out(edit)


@router.delete("/clicks")
def remove_click(service: Served, session: Id, body: ClickGone) -> EditOut:
    """Take back one click; the others are answered again."""
    return edit_out(service.remove_click(session, body.object, body.index))


@router.post("/brush")
async def brush(
    service: Served,
    session: Id,
    request: Request,
    box: str,
    number: int = Query(alias="object"),
    adds: bool = True,
) -> EditOut:
    """A stroke of the brush, or of the eraser (`adds=false`).

    The body is the gzip of uint8, i fastest: 1 for the voxels of the box that the stroke covers.
    """
    data = await request.body()

    def draw() -> EditOut:
        with service.sessions.lease(session) as held:
            part = parse_box(box, held.session.volume.geometry.shape)
        covered = unpack_bool(data, part)
        return edit_out(service.brush(session, number, part, covered, adds=adds))

    return await run_in_threadpool(draw)


@router.post("/undo")
def undo(service: Served, session: Id) -> EditOut:
    """Take back the last change; nothing happens where there is none."""
    return edit_out(service.edit(session, lambda s: s.undo()))


@router.post("/redo")
def redo(service: Served, session: Id) -> EditOut:
    """Do the last undone change again."""
    return edit_out(service.edit(session, lambda s: s.redo()))


@router.post("/reset")
def reset(service: Served, session: Id, body: Reset | None = None) -> EditOut:
    """Drop the clicks of an object, or all objects."""
    number = None if body is None else body.object
    return edit_out(service.edit(session, lambda s: s.reset(number)))


@router.put("/overlap")
def overlap(service: Served, session: Id, body: OverlapChoice) -> EditOut:
    """What happens where an edit meets another object."""
    return edit_out(service.set_overlap(session, overlap_of(body.policy)))


@router.post("/prefetch", status_code=202)
def prefetch(service: Served, session: Id, body: Cursor) -> dict[str, str]:
    """Prepare the window of a click that may follow; done only when the device is idle."""
    x, y, z = body.position
    service.prefetch(session, (x, y, z), body.space)
    return {"status": "accepted"}
