"""Sessions for requests that know none: made, brought to what is asked, taken away again."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from vista3d.errors import CancelledError, UsageError
from vista3d.inference.interactive import SessionObject
from vista3d.server.errors import BusyError, ConflictError, NotFoundError
from vista3d.server.exports import find_object
from vista3d.server.service import Service
from vista3d.server.view import View

Point = tuple[tuple[float, float, float], bool]
"""Voxel (i, j, k) of the scan, and whether it says "this"."""

_LOOK = 0.5
"""Seconds between two looks whether the client is still there."""


@contextlib.asynccontextmanager
async def temporary_session(service: Service, study: str) -> AsyncIterator[str]:
    """A session for one request."""
    session = await run_in_threadpool(service.sessions.create, study)
    try:
        yield session
    finally:
        await run_in_threadpool(forget, service, session)


async def run_automatic(
    service: Service, request: Request, session: str, classes: Sequence[str | int]
) -> View:
    """Segment classes, all where none is named; stops when the client hangs up.

    Raises:
        CancelledError: it hung up.
        Whatever the run raises.
    """
    job = await run_in_threadpool(service.automatic, session, list(classes) or "everything")
    try:
        while not await run_in_threadpool(job.finished.wait, _LOOK):
            if await request.is_disconnected():
                job.cancel.set()
    finally:
        job.cancel.set()
    view = job.view
    if view.error is not None:
        raise view.error
    if view.state == "cancelled":
        raise CancelledError(view.message)
    return await run_in_threadpool(_view, service, session)


def object_of(service: Service, session: str, name: str) -> int:
    """The object of a name, made where there is none yet: of the class, or anonymous."""
    class_id = service.model.vocabulary.single(name)
    known = class_id is not None
    for thing in _view(service, session).objects:
        if (known and thing.class_id == class_id) or (not known and thing.name == name):
            return thing.id
    edit = service.add_object(session, None if known else name, class_id)
    return edit.view.objects[-1].id


def bring_to(service: Service, session: str, number: int, points: Sequence[Point]) -> SessionObject:
    """Click until the object has exactly these clicks; those it has are not computed again."""
    view = _view(service, session)
    have = Counter((c.position, c.positive) for c in find_object(view, number).clicks)
    wanted = Counter(points)
    if have - wanted:
        service.edit(session, lambda s: s.reset(number))
        have.clear()
    for (where, positive), count in (wanted - have).items():
        for _ in range(count):
            service.click(session, where, positive, space="voxel", object_id=number)
    return find_object(_view(service, session), number)


def points_of(positions: Sequence[Sequence[float]], positive: bool) -> list[Point]:
    """Voxels with a sign.

    Raises:
        UsageError: not three numbers each.
    """
    out: list[Point] = []
    for position in positions:
        if len(position) != 3:
            msg = f"a point has three voxel indices, not {len(position)}"
            raise UsageError(msg)
        i, j, k = (float(x) for x in position)
        out.append(((i, j, k), positive))
    return out


def _view(service: Service, session: str) -> View:
    with service.sessions.lease(session) as held:
        return held.view


def forget(service: Service, session: str) -> None:
    """Delete a session; one that another request works in stays, as an ordinary session."""
    with contextlib.suppress(NotFoundError, ConflictError, BusyError):
        service.delete_session(session)
