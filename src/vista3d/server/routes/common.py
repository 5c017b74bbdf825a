"""What several routes need."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from vista3d.server.schemas import EditOut, edit_out
from vista3d.server.service import Service
from vista3d.server.view import Edit

API = "/api/v1"


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""An opaque id: nothing else reaches the storage, least of all a path."""


def answer(service: Service, session: str, edit: Edit) -> EditOut:
    """An edit as its client reads it."""
    with service.sessions.lease(session) as held:
        return edit_out(session, held.study, edit, held.session.volume.affine)
