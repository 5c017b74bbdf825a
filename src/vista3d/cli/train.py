"""`vista3d train`: the four stages of a recipe."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vista3d.cli.options import Cache, CacheGb, Mapping, Seed
from vista3d.wording import counted, first_of

if TYPE_CHECKING:
    from vista3d.training.data.case import Case
    from vista3d.training.recipe import Recipe

NAMED = 6
"""Classes of a data set that the dry run names; `vista3d data table` shows all."""


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
    cache_gb: CacheGb = 50.0,
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
        int | None,
        typer.Option(
            "--processes",
            min=1,
            show_default=False,
            help="On this machine, one per GPU. Default: 1; under torchrun, as many as it started.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", show_default=False, help="Stop after so many; the same command goes on."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the stages, and what they learn from, and leave."),
    ] = False,
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
        from vista3d.training.recipe_run import require_some

        cases, held_out = _listed(data, mapping, pseudo)
        require_some(cases, plan)
        typer.echo(f"{table(plan)}\n\n{taking_part({'train': cases, 'validation': held_out})}")
        return
    if output is None:
        msg = "-o RUN is missing: the folder that the run is kept in"
        raise UsageError(msg)
    require_writable(output)
    until = None if minutes is None else time.time() + 60 * minutes
    from vista3d.training.recipe_run import make_fabric, run_recipe

    cases, held_out = _listed(data, mapping, pseudo)
    start = None
    if initial is not None:
        from vista3d.network.checkpoint import load_checkpoint
        from vista3d.network.weights import resolve

        network, meta = load_checkpoint(resolve(initial))
        start = network.state_dict(), meta
        plan = replace(plan, network=meta.config)
    fabric = make_fabric(device, processes, output)
    if fabric.is_global_zero:
        logging.getLogger("vista3d.training").setLevel(logging.INFO)  # hours of silence otherwise
    done = run_recipe(
        plan, cases, held_out, output, fabric,
        cache=cache, cache_bytes=round(cache_gb * 1e9), initial=start, until=until,
    )  # fmt: skip
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


def _listed(data: Path, mapping: Path | None, pseudo: Path | None) -> tuple[list[Case], list[Case]]:
    """Cases to train on, and held out; no volume is read."""
    from vista3d.training.data.cases import read_cases

    cases = read_cases(data, "train", mapping, pseudo=pseudo)
    return cases, read_cases(data, "validation", mapping)


def taking_part(splits: dict[str, list[Case]]) -> str:
    """A line for each data set and split: scans and classes."""
    found: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for split, cases in splits.items():
        for case in cases:
            found[case.source.name, split].append(case)
    return "\n".join(
        f"{name}, {split}: {counted(len(own), 'scan')}, {_classes(own)}"
        + ("" if own[0].source.weight > 0 else "; weight 0: never trained on")
        for (name, split), own in sorted(found.items())
    )


def _classes(cases: list[Case]) -> str:
    """What the labels of some cases state, the teacher's among them."""
    from vista3d import anatomy

    pseudo = (case.pseudo.classes for case in cases if case.pseudo is not None)
    ids = sorted(frozenset[int]().union(*(case.annotated for case in cases), *pseudo))
    if not ids:
        return "no class: `vista3d data table` shows what the labels mean"
    names = first_of([anatomy.by_id(i).name for i in ids], NAMED)
    return f"{counted(len(ids), 'class')} ({names})"


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
