"""From a training run to a model file: averaged weights, fp16, with all they were trained on."""

from __future__ import annotations

from pathlib import Path

from vista3d.network.checkpoint import save_checkpoint
from vista3d.network.metadata import CheckpointMeta
from vista3d.training.prepared import Prepared
from vista3d.training.run import Run

INTENSITY = (-963.8247715525971, 1053.678477684517)
"""HU window of the released model (facts 2.1); ours was trained with the same."""

LICENCE = (
    "Apache-2.0. Trained on public CT under MIT, Apache-2.0, CC BY 3.0 and CC BY 4.0 (see "
    "provenance). Research software, not a medical device."
)


def trained_classes(cases: list[Prepared]) -> tuple[int, ...]:
    """Global ids with at least one labelled voxel in the training cases, ascending."""
    return tuple(sorted({i for case in cases for i in case.locations if i in case.annotated}))


def export(
    run: Run,
    cases: list[Prepared],
    path: Path,
    before: CheckpointMeta | None = None,
    name: str = "mini",
) -> None:
    """Write the averaged weights of `run` as a model file that every verb takes.

    Args:
        run: a finished (or paused) run.
        cases: its training cases; they decide the class list and the provenance.
        path: target, `.safetensors`.
        before: what the weights that the run started from say of themselves.
        name: model name in the metadata.
    """
    config = run.config
    earlier = {} if before is None else before.provenance
    clicked = "points" in config.parts and config.point_share > 0
    window, points = (config.phases[-1].patch,) * 3, (config.point_patch,) * 3
    if before is not None:
        # A part that was not trained keeps the window that it was trained at.
        window = window if {"encoder", "auto"} & set(config.parts) else before.window
        points = points if clicked else before.point_window or before.window
    datasets: dict[str, int] = {}
    for case in cases:
        datasets[case.case.source.folder] = datasets.get(case.case.source.folder, 0) + 1
    stage = {
        "parts": list(config.parts),
        "steps": run.step,
        "phases": [[phase.patch, phase.steps] for phase in config.phases],
        "point_patch": config.point_patch,
        "point_share": config.point_share,
        "seed": config.seed,
    }
    meta = CheckpointMeta(
        name=name,
        config=config.network,
        spacing=(config.spacing,) * 3,
        window=window,
        point_window=points,
        intensity=INTENSITY,
        classes=trained_classes(cases),
        licence=LICENCE,
        provenance={
            "training_cases": datasets,
            "stages": [*earlier.get("stages", []), stage],
            "point_branch": "trained" if clicked else earlier.get("point_branch", "untrained"),
        },
    )
    save_checkpoint(path, run.average, meta, dtype="float16")
