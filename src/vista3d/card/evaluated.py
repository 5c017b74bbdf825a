"""Tables of a model's card from the folder of an evaluation (`vista3d evaluate -o`)."""

from __future__ import annotations

import math
from pathlib import Path

from vista3d.card.results import Table
from vista3d.evaluation.metrics.intervals import Estimate
from vista3d.evaluation.run_folder import Run, read_runs
from vista3d.evaluation.summary import Line, summarise


def evaluated(folder: Path) -> tuple[Table, ...]:
    """A table for each protocol in the folder.

    Raises:
        InputError: no run, or a damaged one.
    """
    return tuple(_table(run) for run in read_runs(folder))


def _table(run: Run) -> Table:
    settings = run.settings
    lines = summarise(run.rows, official=settings.official, seed=settings.seed)
    rules = "the released scripts' rules" if settings.official else "no ground truth leaks"
    scans = len({row.scan for row in run.rows})
    sets = ", ".join(sorted({row.dataset for row in run.rows}))
    notes: tuple[str, ...] = (
        "Dice on the scans' own grids, mean [95% interval over patients]; "
        f"{scans} scans of {sets}; {rules}. `vista3d evaluate --protocol {settings.protocol}"
        f"{' --official' if settings.official else ''}`, {run.model['runtime']} "
        f"{run.model['precision']} on {run.model['device']}.",
    )
    if run.failures:
        notes += (f"{len(run.failures)} scans failed and are not counted.",)
    title = f"Protocol {settings.label}: {settings.experiment.about}"
    budgets = sorted({line.clicks for line in lines})
    if len(budgets) == 1:
        return Table(title, notes, AUTOMATIC, tuple(_automatic(line) for line in lines))
    columns = ("structure", "scans", *(f"{n} clicks" if n != 1 else "1 click" for n in budgets))
    return Table(title, notes, columns, tuple(_clicked(lines, budgets)))


AUTOMATIC = ("structure", "scans", "Dice", "surface Dice", "missed", "absent", "found where absent")


def _automatic(line: Line) -> tuple[str | int, ...]:
    return (
        line.structure, line.scans, _shown(line.dice), _shown(line.surface_dice),
        line.missed, line.absent, line.false_positives,
    )  # fmt: skip


def _clicked(lines: list[Line], budgets: list[int]) -> list[tuple[str | int, ...]]:
    """A row a structure, a column a budget."""
    found = {(line.structure, line.clicks): line for line in lines}
    rows: list[tuple[str | int, ...]] = []
    for name in dict.fromkeys(line.structure for line in lines):
        own = [found.get((name, budget)) for budget in budgets]
        scans = max(line.scans for line in own if line is not None)
        rows.append((name, scans, *("" if line is None else _shown(line.dice) for line in own)))
    return rows


def _shown(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return ""
    if math.isnan(estimate.low):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.2f}, {estimate.high:.2f}]"
