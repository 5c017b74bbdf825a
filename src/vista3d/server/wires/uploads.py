"""Forms and files that come with a request."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from vista3d.server.errors import ConflictError
from vista3d.server.service import Service
from vista3d.server.upload import Form, Received, receive_form


async def receive(service: Service, request: Request, folder: Path) -> Form:
    """The form of a request, its files in a private folder; an empty one where it has no form.

    Raises:
        StorageFullError, TooLargeError, UsageError: as the server's own uploads.
    """
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return Form()
    check_room(service, request)
    return await receive_form(request.stream(), kind, folder, service.limits.upload_files)


async def receive_raw(service: Service, request: Request, path: Path) -> None:
    """The body of a request in a file."""
    check_room(service, request)
    with path.open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)


def check_room(service: Service, request: Request) -> None:
    """Raises StorageFullError: the disk has no room for what the request claims to bring."""
    claimed = request.headers.get("content-length", "")
    size = int(claimed) if claimed.isdigit() else 0
    service.storage.check_room(size + service.limits.free_disk)


@contextlib.asynccontextmanager
async def temporary_study(service: Service, files: Sequence[Received]) -> AsyncIterator[str]:
    """A study for one request; it stays where somebody has begun a session on it meanwhile."""
    row = await run_in_threadpool(service.studies.add, files)
    try:
        yield row.id
    finally:
        with contextlib.suppress(ConflictError):
            await run_in_threadpool(service.studies.remove, row.id)
