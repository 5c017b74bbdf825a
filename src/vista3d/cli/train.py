"""`vista3d train`: the four stages of a recipe."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vista3d.cli.options import Cache, Mapping, Seed

if TYPE_CHECKING:
    from vista3d.training.recipe import Recipe


def train(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            show_default=False,
            help="Data set, folder of data sets, datalist .json, or .csv; see 'vista3d data'.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", show_default=False, help="Run folder; an existing run is resumed."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", help="mini or paper: see docs/training.md.")
    ] = "mini",
    mapping: Mapping = None,
    pseudo: Annotated[
        Path | None,
        typer.Option("--pseudo", show_default=False, help="Labels made by 'vista3d data label'."),
    ] = None,
    cache: Cache = None,
    initial: Annotated[
        str | None,
        typer.Option(
            "--initial",
            show_default=False,
            help="Model to start from: mini, official or a checkpoint file. "
            "Default: random weights.",
        ),
    ] = None,
    stages: Annotated[
        str,
        typer.Option(
            "--stages", show_default=False, help="Which of the recipe's: 3,4. Default: all."
        ),
    ] = "",
    share: Annotated[
        float, typer.Option("--share", help="Of every stage's steps, 0 to 1: for trials.")
    ] = 1.0,
    seed: Seed = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    processes: Annotated[
        int,
        typer.Option("--processes", min=1, help="On this machine, one per GPU; see also torchrun."),
    ] = 1,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", show_default=False, help="Stop after so many; the same command goes on."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the stages and leave.")] = False,
) -> None:
    """Train a model on partially labelled data sets and write RUN/model.safetensors.

    Killed or stopped runs continue from their last checkpoint with the same patches.

    Example: vista3d train --data DATASETS --recipe mini -o RUN
    """
    from vista3d.cli.writable import require_writable
    from vista3d.errors import UsageError
    from vista3d.training.recipe import recipe as recipe_by_name

    if not 0 < share <= 1:
        msg = f"--share {share} must be above 0 and at most 1"
        raise UsageError(msg)
    plan = _chosen(replace(recipe_by_name(recipe).shortened(share), seed=seed), stages)
    if dry_run:
        typer.echo(table(plan))
        return
    if output is None:
        msg = "-o RUN is missing: the folder that the run is kept in"
        raise UsageError(msg)
    require_writable(output)
    until = None if minutes is None else time.time() + 60 * minutes
    from vista3d.training.data.cases import read_cases
    from vista3d.training.recipe_run import make_fabric, run_recipe

    cases = read_cases(data, "train", mapping, pseudo=pseudo)
    held_out = read_cases(data, "validation", mapping)
    start = None
    if initial is not None:
        from vista3d.network.checkpoint import load_checkpoint
        from vista3d.network.weights import resolve

        network, meta = load_checkpoint(resolve(initial))
        start = network.state_dict(), meta
        plan = replace(plan, network=meta.config)
    fabric = make_fabric(device, processes, output)
    done = run_recipe(
        plan, cases, held_out, output, fabric, cache=cache, initial=start, until=until
    )
    if fabric.is_global_zero:
        state = "done" if done else "stopped before its end: run the same command to go on"
        typer.echo(f"{output / 'model.safetensors'}: {state}")


def _chosen(plan: Recipe, stages: str) -> Recipe:
    """The recipe with some of its stages only, numbered from 1."""
    from vista3d.errors import UsageError

    if not stages:
        return plan
    try:
        numbers = sorted({int(number) for number in stages.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1 or numbers[-1] > len(plan.stages):
        msg = f"--stages {stages!r} must name stages 1 to {len(plan.stages)}, such as 3,4"
        raise UsageError(msg)
    return replace(plan, stages=tuple(plan.stages[number - 1] for number in numbers))


def table(plan: Recipe) -> str:
    """The stages and their settings, one column a stage."""
    names = dict.fromkeys(f.name for stage in plan.stages for f in fields(stage))
    lines = [f"{plan.name}: {plan.spacing:g} mm, network {plan.network.widths}, seed {plan.seed}"]
    for name in names:
        cells = [str(getattr(stage, name, "")) for stage in plan.stages]
        if name == "shares":
            cells = ["" if not c else "see docs/sampler.md" for c in cells]
        lines.append(f"{name:16}" + "".join(f"{cell:24}" for cell in cells).rstrip())
    return "\n".join(lines)
