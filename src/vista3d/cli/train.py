"""`vista3d train`: both branches on partially labelled data sets."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

LEAD_IN = 500
"""Steps of a point branch that starts from nothing, see `TrainConfig.lead_in`."""


def train(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Run folder; an existing run is resumed.")
    ],
    data: Annotated[
        Path, typer.Option("--data", help="Folder of nnU-Net raw data sets (DatasetNNN_*).")
    ] = Path("../shared/data"),
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Prepared volumes. Default: OUTPUT/prepared.")
    ] = None,
    phases: Annotated[
        str, typer.Option("--phases", help="PATCHxSTEPS,... smallest patch first.")
    ] = "64x3000,96x1200",
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 1e-3,
    point_rate: Annotated[
        float, typer.Option("--point-rate", help="Learning rate of the point branch.")
    ] = 3e-3,
    parts: Annotated[
        str, typer.Option("--parts", help="What is trained: encoder, auto, points.")
    ] = "encoder,auto,points",
    point_share: Annotated[
        float, typer.Option("--point-share", help="Share of steps that train clicks.")
    ] = 0.5,
    point_patch: Annotated[int, typer.Option("--point-patch", help="Their patch size.")] = 48,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")] = "cpu",
    initial: Annotated[
        Path | None, typer.Option("--initial", help="Model file to start from; none: random.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Stop after this time; run again to go on.")
    ] = None,
) -> None:
    """Train a model and write OUTPUT/model.safetensors.

    Killed or stopped runs continue from their last checkpoint with the same patches.
    """
    from vista3d.errors import UsageError
    from vista3d.training.corpus import SOURCES, read_source
    from vista3d.training.export import export
    from vista3d.training.initial import adopt_decoder
    from vista3d.training.prepared import prepare_case
    from vista3d.training.run import Run, TrainConfig, with_phases

    try:
        parsed = [tuple(int(n) for n in phase.split("x")) for phase in phases.split(",")]
        config = with_phases(
            TrainConfig(
                learning_rate=learning_rate,
                point_rate=point_rate,
                parts=tuple(parts.split(",")),
                point_share=point_share,
                point_patch=point_patch,
                seed=seed,
            ),
            [(p, s) for p, s in parsed],
        )
    except ValueError:
        msg = f"--phases {phases!r} is not of the form 64x3000,96x1200 (patch x steps)"
        raise UsageError(msg) from None
    weights = meta = None
    if initial is not None:
        from vista3d.network.checkpoint import load_checkpoint

        network, meta = load_checkpoint(initial)
        weights, config = network.state_dict(), replace(config, network=meta.config)
        if meta.provenance.get("point_branch") == "untrained":
            weights, config = adopt_decoder(weights), replace(config, lead_in=LEAD_IN)
    until = None if minutes is None else time.time() + 60 * minutes
    found = [case for source in SOURCES for case in read_source(data, source, "train")]
    store = cache or output / "prepared"
    cases = [prepare_case(case, config.spacing, store) for case in found]
    run = Run(config, output, device, weights)
    run.fit(cases, until=until)
    export(run, cases, output / "model.safetensors", meta)
    typer.echo(f"step {run.step} of {config.steps}: {output / 'model.safetensors'}")
