"""From a training run to a model file: averaged weights, fp16, with all they were trained on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from vista3d.network.checkpoint import save_checkpoint
from vista3d.network.metadata import UNTRAINED, CheckpointMeta
from vista3d.results.json_file import write_json
from vista3d.training.data.prepared import Prepared
from vista3d.training.recipe import PointStage
from vista3d.training.stage_run import CHECKPOINT, StageRun

INTENSITY = (-963.8247715525971, 1053.678477684517)
"""HU window of the released model (facts 2.1); ours was trained with the same."""

LICENCE = (
    "Apache-2.0. Trained on public CT under MIT, Apache-2.0, CC BY 3.0 and CC BY 4.0 (see "
    "provenance). Research software, not a medical device."
)

_NOTE = "model.json"
"""In the folder of a finished stage."""


def trained_classes(cases: list[Prepared]) -> tuple[int, ...]:
    """Global ids with at least one labelled voxel in the training cases, ascending."""
    return tuple(sorted({i for case in cases for i in case.locations if i in case.annotated}))


def export(
    run: StageRun, cases: list[Prepared], path: Path, before: CheckpointMeta | None = None
) -> CheckpointMeta:
    """Write the averaged weights of a stage as a model file that every verb takes.

    Args:
        run: a finished (or paused) stage.
        cases: its training cases; they decide the class list and the provenance.
        path: target, `.safetensors`.
        before: what the weights that the stage started from say of themselves.

    Returns:
        What the new file says of itself.
    """
    stage, recipe = run.stage, run.recipe
    clicked = isinstance(stage, PointStage)
    earlier = {} if before is None else before.provenance
    patch = (stage.patch,) * 3
    # A branch that was not trained keeps the window that it was trained at.
    window = patch if before is None or not clicked else before.window
    point_window = point_context = None
    if isinstance(stage, PointStage):
        point_window = (stage.window,) * 3
        point_context = patch if stage.patch > stage.window else None
    elif before is not None:
        point_window, point_context = before.point_window, before.point_context
    about = {
        "stage": stage.name,
        "recipe": recipe.name,
        "parts": list(stage.parts),
        "steps": run.step,
        "patch": stage.patch,
        "batch": stage.batch * run.fabric.world_size,
        "seed": recipe.seed,
    }
    meta = CheckpointMeta(
        name=recipe.name,
        config=recipe.network,
        spacing=(recipe.spacing,) * 3,
        window=window,
        point_window=point_window,
        point_context=point_context,
        intensity=INTENSITY,
        classes=trained_classes(cases),
        licence=LICENCE,
        exclusive=True,
        click_memory=True,
        provenance={
            "training_cases": dict(Counter(case.case.source.name for case in cases)),
            "stages": [*earlier.get("stages", []), about],
            "point_branch": "trained" if clicked else earlier.get("point_branch", UNTRAINED),
        },
    )
    save_checkpoint(path, run.average, meta, dtype="float16")
    return meta


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
