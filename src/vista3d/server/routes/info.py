"""What the server is, and whether it works."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from vista3d import __version__, anatomy
from vista3d.server.routes.common import API, Served
from vista3d.server.schemas import NOTICE, ClassOut, InfoOut, ModelOut

router = APIRouter(tags=["server"])


@router.get("/healthz")
async def health() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(service: Served, response: Response) -> dict[str, str]:
    """Whether clicks will be answered: 503 while the model warms up or the lane has died."""
    fine = service.ready.is_set() and service.lane.alive
    response.status_code = 200 if fine else 503
    return {"status": "ready" if fine else "not ready"}


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus text format."""
    text = request.app.state.metrics.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get(f"{API}/info")
async def info(service: Served) -> InfoOut:
    """Version, model, limits."""
    meta, runtime, limits = service.model.meta, service.model.runtime, service.limits
    return InfoOut(
        version=__version__,
        model=ModelOut(
            name=meta.name, spacing_mm=None if meta.spacing is None else list(meta.spacing),
            classes=len(meta.classes), licence=meta.licence, device=runtime.device,
            runtime=runtime.name,
        ),
        research_notice=NOTICE,
        limits={
            "upload_bytes": limits.upload_bytes,
            "upload_files": limits.upload_files,
            "mask_bytes": limits.mask_bytes,
            "voxels": limits.voxels,
            "memory_bytes": service.sessions.memory,
            "idle_seconds": limits.idle_seconds,
        },
        token_required=service.settings.token is not None,
    )  # fmt: skip


@router.get(f"{API}/classes")
async def classes(service: Served) -> list[ClassOut]:
    """Everything that has a name; `trained` says what the resident model learned."""
    learned = frozenset(service.model.meta.classes)
    named = {**anatomy.structures(), **service.model.vocabulary.own}
    return [
        ClassOut(id=s.id, name=s.name, group=s.group, color=list(s.colour), trained=s.id in learned)
        for s in named.values()
    ]
