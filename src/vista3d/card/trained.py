"""What a training run cost and how it went, from its folder (`vista3d train -o`, `finetune -o`)."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from statistics import mean

from vista3d.card.results import Cell, Table
from vista3d.errors import InputError

Log = dict[str, dict[int, float]]
"""Name -> step -> value."""

SCORES = ("validation", "validation_1", "validation_5")
COLUMNS = (
    "stage", "step", "loss", "Dice, classes", "Dice, 1 click", "Dice, 5 clicks", "hours",
)  # fmt: skip


def trained(folder: Path, machine: str = "") -> Table:
    """Learning curves on held-out patches at every validation, and the hours until then.

    Args:
        folder: of the run; its stages are listed in `recipe.json`, or it has a `plan.json`.
        machine: what it ran on.

    Raises:
        InputError: no run, or no step of it is logged.
    """
    try:
        seed, stages = _described(folder)
        logs = {
            name: _read(folder / name / "log.csv") for name in stages if (folder / name).is_dir()
        }
    except (OSError, ValueError, KeyError) as error:
        msg = (
            f"{folder} holds no training run ({error}): give what `train -o` or `finetune -o` wrote"
        )
        raise InputError(msg) from error
    rows = tuple(row for name, log in logs.items() for row in _rows(name, log))
    if not rows:
        msg = f"no validation is logged in {folder}: let the run reach one"
        raise InputError(msg)
    hours = sum(_hours(log) for log in logs.values())
    where = f" on {machine}" if machine else ""
    note = (
        f"{hours:.1f} hours of training steps{where}, seed {seed}; Dice of class prompts "
        "on whole scans without competition, after clicks on patches."
    )
    return Table("Learning curves", (note,), COLUMNS, rows)


def _described(folder: Path) -> tuple[int, list[str]]:
    """Seed and names of the stages of a training or fine-tuning run."""
    plan = folder / "plan.json"
    if plan.is_file():
        return json.loads(plan.read_text())["seed"], ["auto", "points"]
    recipe = json.loads((folder / "recipe.json").read_text())
    return recipe["seed"], [stage["name"] for stage in recipe["stages"]]


def _read(path: Path) -> Log:
    log: Log = defaultdict(dict)
    with path.open(newline="") as file:
        for step, name, value in csv.reader(file):
            log[name][int(step)] = float(value)  # of a step done twice, after a kill: the last
    return log


def _rows(stage: str, log: Log) -> list[tuple[Cell, ...]]:
    steps = sorted({step for name in SCORES for step in log.get(name, {})})
    rows: list[tuple[Cell, ...]] = []
    for before, step in zip([0, *steps], steps, strict=False):
        losses = [value for at, value in log.get("loss", {}).items() if before < at <= step]
        scores = [log[name].get(step, "") if name in log else "" for name in SCORES]
        loss = mean(losses) if losses else ""
        rows.append((stage, step, loss, *scores, _hours(log, step)))
    return rows


def _hours(log: Log, until: int | None = None) -> float:
    """Seconds a step are logged every few steps, as the mean of these."""
    total, before = 0.0, 0
    for step, seconds in sorted(log.get("seconds", {}).items()):
        if until is None or step <= until:
            total += (step - before) * seconds
            before = step
    return total / 3600
