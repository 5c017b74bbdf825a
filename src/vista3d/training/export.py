"""From a training run to a model file: averaged weights, fp16, with all they were trained on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vista3d.network.checkpoint import save_checkpoint
from vista3d.network.metadata import CheckpointMeta
from vista3d.results.json_file import write_json
from vista3d.training.claims import licence, licences, point_branch
from vista3d.training.data.prepared import Prepared
from vista3d.training.recipe import AutoStage, PointStage
from vista3d.training.stage_run import CHECKPOINT, StageRun

INTENSITY = (-963.8247715525971, 1053.678477684517)
"""HU window of the released model (facts 2.1); ours was trained with the same."""

_NOTE = "model.json"
"""In the folder of a finished stage."""


def trained_classes(cases: list[Prepared]) -> tuple[int, ...]:
    """Global ids with at least one labelled voxel in the training cases, ascending."""
    return tuple(sorted({i for case in cases for i in case.locations if i in case.annotated}))


def export(
    run: StageRun, cases: list[Prepared], path: Path, before: CheckpointMeta | None = None
) -> CheckpointMeta:
    """Write the averaged weights of a stage as a model file that every verb takes.

    A stage of clicks leaves the classes of its initial model what they are.

    Args:
        run: a finished (or paused) stage.
        cases: its training cases; they decide the provenance, and the class list where class
            prompts are trained.
        path: target, `.safetensors`.
        before: what the weights that the stage started from say of themselves.

    Returns:
        What the new file says of itself.
    """
    stage, recipe = run.stage, run.recipe
    clicked = isinstance(stage, PointStage)
    patch = (stage.patch,) * 3
    # A branch that was not trained keeps the window that it was trained at.
    window = patch if before is None or not clicked else before.window
    point_window = point_context = None
    if isinstance(stage, PointStage):
        point_window = (stage.window,) * 3
        point_context = patch if stage.patch > stage.window else None
    elif before is not None:
        point_window, point_context = before.point_window, before.point_context
    meta = CheckpointMeta(
        name=recipe.name,
        config=recipe.network,
        spacing=(recipe.spacing,) * 3,
        window=window,
        point_window=point_window,
        point_context=point_context,
        intensity=INTENSITY,
        classes=trained_classes(cases),
        licence=licence(before, [case.case for case in cases]),
        exclusive=not (isinstance(stage, AutoStage) and stage.loss == "released"),
        click_memory=clicked or before is None or before.click_memory,
        provenance=_provenance(run, cases, before),
    )
    if before is not None:
        meta = _with_classes_of(before, meta) if clicked else _with_names_of(before, meta)
    save_checkpoint(path, run.average, meta, dtype="float16")
    return meta


def _provenance(
    run: StageRun, cases: list[Prepared], before: CheckpointMeta | None
) -> dict[str, Any]:
    stage, earlier = run.stage, {} if before is None else before.provenance
    about = {
        "stage": stage.name,
        "recipe": run.recipe.name,
        "parts": list(stage.parts),
        "steps": run.step,
        "patch": stage.patch,
        "batch": stage.batch * run.fabric.world_size,
        "seed": run.recipe.seed,
    }
    counts = Counter(case.case.source.name for case in cases)
    stated = licences(case.case for case in cases)
    return {
        # Of a fine-tuned model.
        **{key: earlier[key] for key in ("base", "seen") if key in earlier},
        "training_cases": {**earlier.get("training_cases", {}), **counts},
        "licences": {**earlier.get("licences", {}), **stated},
        "stages": [*earlier.get("stages", []), about],
        "point_branch": point_branch(before, [stage]),
    }


def _with_classes_of(before: CheckpointMeta, meta: CheckpointMeta) -> CheckpointMeta:
    """All that class prompts are answered by as before: nothing of it was trained."""
    return replace(
        meta, classes=before.classes, names=before.names, modalities=before.modalities,
        exclusive=before.exclusive, margins=before.margins, single=before.single,
    )  # fmt: skip


def _with_names_of(before: CheckpointMeta, meta: CheckpointMeta) -> CheckpointMeta:
    """What the classes are stays true; their margins were chosen for other weights."""
    return replace(
        meta,
        names={i: name for i, name in before.names.items() if i in meta.classes},
        single=tuple(i for i in before.single if i in meta.classes),
    )


def keep_finished(folder: Path, meta: CheckpointMeta) -> None:
    """Note beside the checkpoint of a stage that it is done, and what its model says of itself."""
    write_json(folder / _NOTE, json.loads(meta.to_json()))


def finished_stage(folder: Path) -> tuple[dict[str, Tensor], CheckpointMeta] | None:
    """Averaged weights of a finished stage and what they say of themselves; None: not finished.

    What was noted when the stage ran stays true on a machine with another number of processes.

    Raises:
        WeightsError: the note is damaged.
    """
    note = folder / _NOTE
    if not note.is_file():
        return None
    meta = CheckpointMeta.from_json(note.read_text(), str(note))
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    return state["average"], meta
