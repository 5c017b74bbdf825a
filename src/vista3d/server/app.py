"""The web application: the service, the checks before it, the routes on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import anyio.to_thread
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware

from vista3d import __version__
from vista3d.server.answers import Answers, add_error_handlers
from vista3d.server.metrics import Metrics
from vista3d.server.routes import edits, exports, info, jobs, pages, sessions, studies
from vista3d.server.schemas import ERRORS, NOTICE
from vista3d.server.security import Guard
from vista3d.server.service import Service
from vista3d.server.wire import Wire

THREADS = 128
"""Requests that may wait at once: the lane's queue and as many that need no device."""


def create_app(service: Service, wires: Sequence[Wire] = ()) -> FastAPI:
    """The application on a service; closing it closes the service.

    Args:
        service: what does the work.
        wires: other protocols.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        for wire in wires:
            await anyio.to_thread.run_sync(wire.close)
        await anyio.to_thread.run_sync(service.close)

    service.chores.extend(wire.tidy for wire in wires)
    metrics = Metrics(service)
    app = FastAPI(
        title="vista3d",
        summary="Promptable 3D CT segmentation. " + NOTICE,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # Swagger UI comes from a CDN, which the page's policy forbids
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        default_response_class=JSONResponse,
        responses=ERRORS,
        middleware=[
            Middleware(Answers, metrics=metrics),
            Middleware(Guard, settings=service.settings, wires=wires),
        ],
    )
    app.state.service, app.state.metrics = service, metrics
    add_error_handlers(app)
    own = (info.router, studies.router, sessions.router, edits.router, jobs.router, exports.router)
    for router in (*own, *(wire.router for wire in wires)):
        app.include_router(router)
    pages.mount(app)
    return app
