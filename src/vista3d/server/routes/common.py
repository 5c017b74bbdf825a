"""What several routes need."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from vista3d.server.service import Service

API = "/api/v1"


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""An opaque id: nothing else reaches the storage, least of all a path."""
