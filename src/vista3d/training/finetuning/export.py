"""The model file of a fine-tuning run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vista3d.network.checkpoint import save_checkpoint
from vista3d.network.metadata import CheckpointMeta
from vista3d.training.claims import licence, licences, point_branch
from vista3d.training.finetuning.plan import Plan
from vista3d.training.finetuning.scans import Scans
from vista3d.training.finetuning.targets import Target
from vista3d.training.stage_run import StageRun


def fingerprint(case: str) -> str:
    """Of a scan's name, which may be a patient's: 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(case.encode()).hexdigest()[:12]


def describe(
    runs: Sequence[StageRun],
    plan: Plan,
    targets: Sequence[Target],
    base: CheckpointMeta,
    name: str,
    scans: Scans,
) -> CheckpointMeta:
    """What the new file says of itself.

    It offers the classes it was fine-tuned on and no others: what became of those that the model
    knew before was not measured.

    Args:
        runs: the stages, in order.
        plan: of the run.
        targets: what was learned.
        base: of the model that was started from.
        name: of the new model.
        scans: those that decided the weights, held-out ones too.
    """
    cases = (*scans.train, *scans.held_out)
    stages: list[dict[str, Any]] = [
        {
            "stage": run.stage.name,
            "parts": list(run.stage.parts),
            "steps": run.step,
            "patch": run.stage.patch,
            "seed": run.recipe.seed,
        }
        for run in runs
    ]
    return CheckpointMeta(
        name=name,
        config=base.config,
        spacing=(plan.spacing,) * 3,
        window=(plan.patch,) * 3,
        # The point branch keeps the windows that it was trained at.
        point_window=base.click_window,
        point_context=base.click_context,
        intensity=plan.intensity,
        intensity_kind="hu",
        classes=tuple(sorted(target.class_id for target in targets)),
        exclusive=True,
        single=plan.single,
        click_memory=base.click_memory,
        names={target.class_id: target.name for target in targets if target.name},
        licence=licence(base, cases),
        provenance={
            "base": {"name": base.name, **base.provenance},
            "training_cases": dict(Counter(case.source.name for case in scans.train)),
            "licences": licences(scans.train),
            "seen": [fingerprint(case.name) for case in cases],
            "stages": stages,
            "point_branch": point_branch(base, [run.stage for run in runs]),
        },
    )


def write_model(path: Path, runs: Sequence[StageRun], meta: CheckpointMeta) -> None:
    """The averaged weights of the last stage."""
    save_checkpoint(path, runs[-1].average, meta, dtype="float16")
