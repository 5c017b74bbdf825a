"""What supervoxels and re-synthesis are worth: the same budget with and without, then Dice.

`supervoxels` (the paper's claim: +50% relative at few clicks on novel structures): the point branch
learns from nothing on the encoder of a trained model, once with objects made of supervoxels, once
with whole structures in their place, as the sampler falls back to. Measured: Dice after 1, 3 and 5
simulated clicks on structures that are never a training target.

`resynthesis`: the automatic branch learns from scratch on torsos, once with label maps whose
intensities are synthesised and with re-synthesised intensities on scans, once on scans alone. One
scan is held out of both; measured: Dice of the classes that both arms have seen.

The budget is a number of steps, the same for both arms: as many as the slower one does in
`--minutes` on this machine, found out once. Everything resumes: run the same command again.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from benchmarks.machine import describe
from vista3d import anatomy
from vista3d.errors import UsageError
from vista3d.evaluation.case import EvaluationCase, Target
from vista3d.evaluation.metrics.intervals import Estimate, estimate
from vista3d.evaluation.row import Row
from vista3d.evaluation.run import run_cases
from vista3d.evaluation.settings import Settings
from vista3d.inference import load
from vista3d.network.checkpoint import load_checkpoint
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.network.weights import resolve
from vista3d.training.data.case import Case
from vista3d.training.data.cases import dataset_cases, read_cases
from vista3d.training.data.layouts import find_listings
from vista3d.training.data.mapping import shipped_mapping
from vista3d.training.examples import Examples, prepare_all
from vista3d.training.recipe import MINI, PointStage, Recipe
from vista3d.training.recipe_run import run_recipe
from vista3d.training.sampler import PUBLISHED
from vista3d.training.stage_run import StageRun

NOVEL = {
    "Dataset101_OpenKBP": ("larynx", "mandible"),
    "Dataset102_SoftTissueSarcoma": ("tumour",),
}
"""Never a training target (data/README.md)."""
TORSOS, LABEL_MAPS = "Dataset103_TorsoPseudo", "Dataset105_LabelMaps"
HELD_OUT = "lidc_0001"
"""Chest and upper abdomen, 89 structures: the torso with most of them."""

Initial = tuple[dict[str, Tensor], CheckpointMeta]


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Attributes:
        name: of its folder and its column.
        recipe: of one stage.
        cases: to train on.
        initial: weights to start from; None: random ones.
    """

    name: str
    recipe: Recipe
    cases: list[Case]
    initial: Initial | None = None


@dataclass(frozen=True)
class Experiment:
    """Arms, without the thing in question last, and how they are compared."""

    name: str
    arms: tuple[Arm, Arm]
    cases: list[EvaluationCase]
    settings: Settings


def supervoxels(options: argparse.Namespace) -> Experiment:
    """With and without supervoxels."""
    network, meta = load_checkpoint(resolve(options.model))
    stage = next(s for s in MINI.stages if isinstance(s, PointStage) and s.supervoxels)
    if options.published:
        stage = replace(stage, shares=PUBLISHED)
    recipe = replace(MINI, network=meta.config, spacing=meta.spacing[0], seed=options.seed)
    cases = [c for c in read_cases(options.data) if c.source.weight > 0 and c.image is not None]
    arms = [
        Arm(
            name,
            replace(recipe, stages=(replace(stage, supervoxels=used, validate_every=0),)),
            _limited(cases, options.scans),
            _without_clicks(network, meta, options.seed),
        )
        for name, used in (("with", True), ("without", False))
    ]
    asked = [
        case for name, wanted in NOVEL.items()
        for case in _novel_cases(options.data / name, wanted)[: options.cases]
    ]  # fmt: skip
    name = "supervoxels-published" if options.published else "supervoxels"
    return Experiment(name, (arms[0], arms[1]), asked, Settings("zero-shot", clicks=(1, 3, 5)))


def resynthesis(options: argparse.Namespace) -> Experiment:
    """With and without re-synthesis."""
    (stage, *_) = MINI.stages
    stage = replace(stage, validate_every=0)
    recipe = replace(MINI, stages=(stage,), seed=options.seed)
    plain = replace(recipe, stages=(replace(stage, resynthesis=0.0),))
    torsos = read_cases(options.data / TORSOS, None)
    (held_out,) = (case for case in torsos if case.name == options.held_out)
    scans = [case for case in torsos if case is not held_out]
    maps = read_cases(options.data / LABEL_MAPS, None)
    arms = Arm("with", recipe, scans + maps), Arm("without", plain, scans)
    seen = frozenset[int]().union(*(case.annotated for case in scans))
    asked = _torso_case(held_out, seen)
    return Experiment(f"resynthesis-{held_out.name}", arms, [asked], Settings("auto"))


EXPERIMENTS: dict[str, Callable[[argparse.Namespace], Experiment]] = {
    "supervoxels": supervoxels,
    "resynthesis": resynthesis,
}


def _without_clicks(network: Vista3D, meta: CheckpointMeta, seed: int) -> Initial:
    """A model whose point head knows nothing, and says so."""
    torch.manual_seed(seed)
    fresh = Vista3D(meta.config).state_dict()
    state = {k: fresh[k] if k.startswith("point_head.") else v
             for k, v in network.state_dict().items()}  # fmt: skip
    return state, replace(meta, provenance={**meta.provenance, "point_branch": "untrained"})


def _limited(cases: list[Case], count: int | None) -> list[Case]:
    """At most so many scans of each data set."""
    names = sorted({case.source.name for case in cases})
    return [c for n in names for c in [c for c in cases if c.source.name == n][:count]]


def _novel_cases(folder: Path, names: tuple[str, ...]) -> list[EvaluationCase]:
    """Validation patients in which a novel structure is drawn."""
    (listing,) = find_listings(folder)
    targets = tuple(Target(name, None, (listing.labels[name],), absence=False) for name in names)
    return [
        EvaluationCase(listing.name, case.name, case.patient, case.image, case.label, targets, ())
        for case in dataset_cases(listing, shipped_mapping(), "validation")
        if case.image is not None and case.label is not None
    ]


def _torso_case(case: Case, seen: frozenset[int]) -> EvaluationCase:
    """The held-out torso, asked for the classes that both arms have seen."""
    assert case.image is not None
    assert case.label is not None
    ids = sorted(case.annotated & seen)
    targets = tuple(
        Target(anatomy.by_id(i).name, i, tuple(v for v, g in case.mapping.items() if g == i))
        for i in ids
    )
    return EvaluationCase(
        case.source.name, case.name, case.patient, case.image, case.label, targets, tuple(ids)
    )


def budget(experiment: Experiment, folder: Path, cache: Path, minutes: float) -> int:
    """Steps of each arm: measured once, then read.

    Raises:
        UsageError: the folder is of other training scans or another seed.
    """
    path = folder / "budget.json"
    asked = {
        arm.name: {"seed": arm.recipe.seed, "cases": [case.name for case in arm.cases]}
        for arm in experiment.arms
    }
    if path.is_file():
        known = json.loads(path.read_text())
        if known["arms"] != asked:
            msg = f"{folder} trains on other scans or with another seed: choose another --output"
            raise UsageError(msg)
        return int(known["steps"])
    seconds = {arm.name: _seconds(arm, cache) for arm in experiment.arms}
    steps = max(2, int(60 * minutes / max(seconds.values())))
    note = {"steps": steps, "minutes": minutes, "seconds": seconds, "machine": describe()}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**note, "arms": asked}, indent=1) + "\n")
    return steps


def _seconds(arm: Arm, cache: Path, steps: int = 4) -> float:
    """Of a step, the first two left out: they warm up."""
    (stage,) = arm.recipe.stages
    segments = arm.recipe.segments if isinstance(stage, PointStage) and stage.supervoxels else None
    prepared = prepare_all(arm.cases, cache, arm.recipe.spacing, segments)
    weights = None if arm.initial is None else arm.initial[0]
    with tempfile.TemporaryDirectory() as scratch:
        run = StageRun(arm.recipe, 0, Path(scratch), _fabric(), 10**9, weights)
        examples = Examples(prepared, arm.recipe, 0, 0, 10**9)
        for step in range(steps):
            if step == 2:
                started = time.perf_counter()
            run.train_step([examples.example(step)])
    return (time.perf_counter() - started) / (steps - 2)


def train(arm: Arm, steps: int, folder: Path, cache: Path) -> Path:
    """The model of an arm; trained, or further trained, if it is not there."""
    (stage,) = arm.recipe.stages
    short = {"steps": steps, "warmup": min(stage.warmup, steps // 10)}
    if isinstance(stage, PointStage):
        short["lead_in"] = min(stage.lead_in, math.ceil(0.15 * steps))
    recipe = replace(arm.recipe, stages=(replace(stage, **short),))
    run_recipe(recipe, arm.cases, [], folder, _fabric(), cache=cache, initial=arm.initial)
    return folder / "model.safetensors"


def _fabric() -> Fabric:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    return fabric


def compared(experiment: Experiment, options: argparse.Namespace) -> str:
    """Both arms trained and measured; the table as Markdown."""
    folder = options.output / experiment.name
    steps = budget(experiment, folder, options.cache, options.minutes)
    rows = {}
    for arm in experiment.arms:
        model = train(arm, steps, folder / arm.name, options.cache)
        evaluation = folder / arm.name / "evaluation"
        ends = run_cases(experiment.cases, load(model), experiment.settings, evaluation)
        rows[arm.name] = [row for end in ends for row in end.rows]
        for end in ends:
            if end.error:
                print(f"{end.case.name} failed: {end.error}")
    return as_markdown(experiment, rows, steps)


def as_markdown(experiment: Experiment, rows: dict[str, list[Row]], steps: int) -> str:
    """A line per structure (or group of them) and number of clicks."""
    first, last = (arm.name for arm in experiment.arms)
    scans = len({row.scan for row in rows[first]})
    lines = [
        f"{experiment.name}: {steps} steps each, {scans} scans, mean Dice [95% interval].",
        "",
        f"| structure | clicks | objects | {first} | {last} | relative |",
        "|---|---|---|---|---|---|",
    ]
    names = sorted({_group(row) for row in rows[first]})
    for name in [*names, "all"]:
        for clicks in experiment.settings.clicks:
            found = [
                [row for row in rows[arm] if row.clicks == clicks and name in ("all", _group(row))]
                for arm in (first, last)
            ]
            one, other = (_mean(own) for own in found)
            relative = f"{one.value / other.value - 1:+.0%}" if other.value else ""
            lines.append(
                f"| {name} | {clicks or 'auto'} | {len(found[0])} | {_shown(one)} | "
                f"{_shown(other)} | {relative} |"
            )
    return "\n".join(lines)


def _group(row: Row) -> str:
    """A structure of its own, or its group where there are many."""
    return row.structure if row.class_id is None else anatomy.by_id(row.class_id).group


def _mean(rows: list[Row]) -> Estimate:
    table = torch.tensor([[row.score.dice] for row in rows], dtype=torch.float64).numpy()
    return estimate(table, [row.owner for row in rows])


def _shown(figure: Estimate) -> str:
    if math.isnan(figure.low):
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.2f}, {figure.high:.2f}]"


def main(arguments: list[str]) -> None:
    """Print a table per experiment."""
    parser = argparse.ArgumentParser("python -m benchmarks ablation", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="Folder of the runs.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="Prepared scans. Default: in the folder.")
    parser.add_argument("--experiments", default=",".join(EXPERIMENTS))
    parser.add_argument("--minutes", type=float, default=30.0, help="Of training, for each arm.")
    parser.add_argument("--model", default="mini", help="Whose encoder clicks are learnt on.")
    parser.add_argument(
        "--published", action="store_true",
        help="The published mix of objects, not the one of recipe mini.",
    )  # fmt: skip
    parser.add_argument("--scans", type=int, help="To train on, of each data set. Default: all.")
    parser.add_argument("--cases", type=int, default=12, help="To measure on, of each data set.")
    parser.add_argument("--held-out", default=HELD_OUT, help="The torso that both arms leave out.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    options.cache = options.cache or options.output / "cache"
    for name in options.experiments.split(","):
        print(f"\n{compared(EXPERIMENTS[name](options), options)}", flush=True)
    print(f"\n{describe()}")
