"""Forms and files that come with a request."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from vista3d.server.body import check_room
from vista3d.server.errors import ConflictError
from vista3d.server.service import Service
from vista3d.server.upload import Form, Received, receive_fields, receive_form


async def receive(service: Service, request: Request, folder: Path) -> Form:
    """The form of a request, its files in a private folder; an empty one where it has no body.

    Raises:
        StorageFullError, TooLargeError, UsageError: as the server's own uploads; a body that is no
            form, multipart or urlencoded.
    """
    chunks = request.stream()
    first = await anext(chunks, b"")
    stated = request.headers.get("content-type", "")
    kind = _form_type(first) or stated
    if not first and not kind.startswith("multipart/"):
        return Form()
    check_room(service, request)
    whole = _joined(first, chunks)
    if kind.startswith("application/x-www-form-urlencoded"):
        return Form(fields=await receive_fields(whole))
    return await receive_form(whole, kind, folder, service.limits.upload_files)


def _form_type(start: bytes) -> str | None:
    """The type that a body shows by its first line; None for what is no form.

    MONAI Label's Python client 0.8.5, once it has a token, repeats the Content-Type of its former
    request: the boundary that the header states is then another than the body's.
    """
    found = re.match(rb"--([^\r\n\"]{1,70})\r\ncontent-disposition:", start, re.IGNORECASE)
    return found and f'multipart/form-data; boundary="{found[1].decode("latin-1")}"'


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


@contextlib.asynccontextmanager
async def temporary_study(service: Service, files: Sequence[Received]) -> AsyncIterator[str]:
    """A study for one request; it stays where somebody has begun a session on it meanwhile."""
    row = await run_in_threadpool(service.studies.add, files)
    try:
        yield row.id
    finally:
        with contextlib.suppress(ConflictError):
            await run_in_threadpool(service.studies.remove, row.id)
