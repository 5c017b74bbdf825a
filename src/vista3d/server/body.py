"""The body of a request on the disk."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request

from vista3d.server.service import Service


async def receive_raw(service: Service, request: Request, path: Path) -> None:
    """The body of a request in a file.

    Raises:
        StorageFullError: as `check_room`.
    """
    check_room(service, request)
    with path.open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)


def check_room(service: Service, request: Request) -> None:
    """Raises StorageFullError: the disk has no room for what the request claims to bring."""
    claimed = request.headers.get("content-length", "")
    size = int(claimed) if claimed.isdigit() else 0
    service.storage.check_room(size + service.limits.free_disk)
