"""The JSON of the API, both ways; `docs/server.md` shows it in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vista3d.inference.interactive import Overlap, SessionObject
from vista3d.inference.interactive.labelled import structures_of
from vista3d.server.jobs import JobView, State
from vista3d.server.storage import SessionRow, Source, StudyRow
from vista3d.server.view import Box, Edit, View, voxels_of

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."

Triple = Annotated[list[float], Field(min_length=3, max_length=3)]
Policy = Literal["overwrite", "keep_existing", "allow_overlap"]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Channel = Annotated[int, Field(ge=0, le=255, strict=True)]
Rgb = tuple[Channel, Channel, Channel]


class _Out(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ErrorOut(_Out):
    """Every answer with a status of 400 and more."""

    error: str = Field(description="type of the error")
    message: str = Field(description="what was wrong and what to do")
    request_id: str = Field(description="to find the request in the server's log")


class ModelOut(_Out):
    """The resident model."""

    name: str
    spacing_mm: list[float] | None
    classes: int
    licence: str
    device: str
    runtime: str


class InfoOut(_Out):
    """What this server is."""

    version: str
    model: ModelOut
    research_notice: str
    limits: dict[str, int | float]
    token_required: bool


class ClassOut(_Out):
    """A structure that can be named."""

    id: int
    name: str
    group: str
    color: list[int]
    trained: bool = Field(description="whether the resident model learned it")


class StudyOut(_Out):
    """A scan. Folder studies have no grid before they were opened for the first time."""

    id: str
    name: str
    shape: list[int] | None
    spacing: list[float] | None = Field(description="mm")
    affine: list[list[float]] | None = Field(description="voxel (i, j, k) -> RAS mm")
    source: Source
    format: str
    created: str
    warnings: list[str]
    sessions: list[str]


class ClickOut(_Out):
    """A click that counts."""

    position_ras: list[float]
    voxel: list[int]
    positive: bool


class ObjectOut(_Out):
    """An object of a session; `id` is its value in label maps."""

    id: int
    name: str
    class_id: int | None
    color: list[int]
    locked: bool
    voxels: int
    volume_ml: float
    clicks: list[ClickOut]


class SessionOut(_Out):
    """A session now."""

    id: str
    study: str
    revision: int = Field(description="grows with each change")
    overlap: Policy
    active: int | None
    undo: int = Field(description="steps that can be undone")
    redo: int
    saved: bool = Field(description="whether this revision is on disk")
    objects: list[ObjectOut]


class SessionListed(_Out):
    """A session in the list."""

    id: str
    study: str
    revision: int
    created: str
    updated: str


class BoxOut(_Out):
    """Half-open ranges of voxels."""

    box: list[list[int]]


class EditOut(_Out):
    """A session after an edit, and where labels changed."""

    state: SessionOut
    changed: BoxOut | None


class JobOut(_Out):
    """Work under way; done, failed and cancelled are final."""

    id: str
    session: str
    kind: str
    state: State
    progress: float
    message: str
    error: ErrorOut | None = None
    result: EditOut | None = None


class NewSession(_In):
    """Begin a session."""

    study: str


class NewObject(_In):
    """An object without a voxel; of a class, or anonymous."""

    name: Name | None = None
    class_: str | int | None = Field(None, alias="class")


class ObjectChange(_In):
    """What is left out stays."""

    name: Name | None = None
    locked: bool | None = None
    color: Rgb | None = None
    active: Literal[True] | None = None


class NewClick(_In):
    """Without an object: the active one, or a new one where there is none."""

    position: Triple
    space: Literal["ras", "lps", "voxel"]
    positive: bool = True
    object: int | None = None


class ClickGone(_In):
    """Which click of which object."""

    object: int
    index: int


class Cursor(_In):
    """Where a click may follow."""

    position: Triple
    space: Literal["ras", "lps", "voxel"]


class Reset(_In):
    """One object, or all."""

    object: int | None = None


class OverlapChoice(_In):
    """What happens where an edit meets another object."""

    policy: Policy


class Automatic(_In):
    """What to segment."""

    classes: Literal["everything"] | Annotated[
        list[str | int], Field(min_length=1, max_length=400)
    ]  # fmt: skip


def policy_of(overlap: Overlap) -> Policy:
    """The API's word for an overlap policy."""
    return cast(Policy, overlap.replace(" ", "_"))


def overlap_of(policy: Policy) -> Overlap:
    """The inverse."""
    return cast(Overlap, policy.replace("_", " "))


def study_out(row: StudyRow, sessions: Sequence[SessionRow]) -> StudyOut:
    """A study with the ids of its sessions."""
    affine = None if row.affine is None else np.array(row.affine)
    spacing = None if affine is None else np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return StudyOut(
        id=row.id, name=row.name, shape=None if row.shape is None else list(row.shape),
        spacing=spacing, affine=row.affine, source=row.source, format=row.format,
        created=row.created, warnings=list(row.warnings), sessions=[s.id for s in sessions],
    )  # fmt: skip


def session_out(key: str, study: str, view: View, affine: np.ndarray) -> SessionOut:
    """A session as its client sees it; `affine` of its scan."""
    structures = structures_of(view.objects)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    return SessionOut(
        id=key, study=study, revision=view.revision, overlap=policy_of(view.overlap),
        active=view.active, undo=view.undo, redo=view.redo, saved=view.saved,
        objects=[
            _object_out(thing, structures[thing.id].colour, voxel_ml, affine)
            for thing in view.objects
        ],
    )  # fmt: skip


def edit_out(edit: Edit) -> EditOut:
    """The answer to an edit."""
    return EditOut(
        state=session_out(edit.session, edit.study, edit.view, edit.affine),
        changed=None if edit.changed is None else BoxOut(box=_ranges(edit.changed)),
    )


def job_out(view: JobView) -> JobOut:
    """A job; its error carries the job's id, as its request has ended long ago."""
    error = None
    if view.error is not None:
        name = type(view.error).__name__
        error = ErrorOut(error=name, message=str(view.error), request_id=view.id)
    return JobOut(
        id=view.id, session=view.session, kind=view.kind, state=view.state,
        progress=round(view.progress, 4), message=view.message, error=error, result=view.result,
    )  # fmt: skip


def _object_out(
    thing: SessionObject, colour: tuple[int, int, int], voxel_ml: float, affine: np.ndarray
) -> ObjectOut:
    voxels = voxels_of(thing.mask)
    clicks = [
        ClickOut(
            position_ras=(affine[:3, :3] @ click.position + affine[:3, 3]).tolist(),
            voxel=list(click.voxel),
            positive=click.positive,
        )
        for click in thing.clicks
    ]
    return ObjectOut(
        id=thing.id, name=thing.name, class_id=thing.class_id, color=list(colour),
        locked=thing.locked, voxels=voxels, volume_ml=round(voxels * voxel_ml, 3), clicks=clicks,
    )  # fmt: skip


def _ranges(box: Box) -> list[list[int]]:
    return [[part.start, part.stop] for part in box]


Responses = dict[int | str, dict[str, Any]]
ERRORS: Responses = {
    401: {"model": ErrorOut}, 404: {"model": ErrorOut}, 409: {"model": ErrorOut},
    422: {"model": ErrorOut}, 429: {"model": ErrorOut}, 503: {"model": ErrorOut},
}  # fmt: skip
"""For the OpenAPI document: every route may answer so."""
