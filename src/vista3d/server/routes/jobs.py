"""Automatic runs: begin, find again, ask, follow, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from vista3d.server.jobs import FINAL, Job, JobView
from vista3d.server.routes.common import API, Id, Served
from vista3d.server.schemas import Automatic, JobOut, job_out

router = APIRouter(prefix=API, tags=["jobs"])

_LOOK = 0.1
"""Seconds between two looks at a followed job: no thread waits for it."""

_ALIVE = 15.0
"""Seconds after which a silent stream says that it lives; proxies cut after 30 or 60."""


@router.post("/sessions/{session}/automatic", status_code=202)
def automatic(service: Served, session: Id, body: Automatic) -> JobOut:
    """Segment classes; each one found becomes an object."""
    return job_out(service.automatic(session, body.classes).view)


@router.get("/sessions/{session}/jobs")
def list_jobs(service: Served, session: Id) -> list[JobOut]:
    """The jobs of a session, oldest first, without their results: a reloaded page finds its own."""
    service.storage.session(session)  # 404 where there is none
    return [job_out(replace(job.view, result=None)) for job in service.jobs.of_session(session)]


@router.get("/jobs/{job}")
def get_job(service: Served, job: Id) -> JobOut:
    """A job now; its result is there once it is done."""
    return job_out(service.jobs.find(job).view)


@router.delete("/jobs/{job}")
def cancel(service: Served, job: Id) -> JobOut:
    """Ask a job to stop; it does within a window, and changes nothing then."""
    found = service.jobs.find(job)
    found.cancel.set()
    return job_out(found.view)


@router.get("/jobs/{job}/events", response_class=StreamingResponse)
async def events(service: Served, job: Id) -> StreamingResponse:
    """Server-sent events: the job at each change, until it is final."""
    found = service.jobs.find(job)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_follow(found), media_type="text/event-stream", headers=headers)


async def _follow(job: Job) -> AsyncIterator[str]:
    told: JobView | None = None
    silent = 0.0
    while told is None or told.state not in FINAL:
        view = job.view
        if view is not told:
            yield f"data: {job_out(view).model_dump_json()}\n\n"
            told, silent = view, 0.0
            continue
        if silent >= _ALIVE:
            yield ": still here\n\n"
            silent = 0.0
        await asyncio.sleep(_LOOK)
        silent += _LOOK
