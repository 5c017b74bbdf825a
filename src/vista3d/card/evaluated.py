"""Tables of a model's card from the folder of an evaluation (`vista3d evaluate -o`)."""

from __future__ import annotations

from pathlib import Path

from vista3d.card.results import Results, Table
from vista3d.errors import InputError
from vista3d.evaluation.report.tables import datasets, structures
from vista3d.evaluation.run_folder import Run, read_runs


def evaluated(folder: Path) -> Results:
    """Tables for each protocol in the folder, and of which model they are.

    Raises:
        InputError: no run, a damaged one, or runs of several models.
    """
    runs = read_runs(folder)
    models = {run.model["sha256"]: run.model["name"] for run in runs}
    if len(models) > 1:
        msg = f"{folder} holds runs of {len(models)} models ({', '.join(models.values())}): "
        msg += "evaluate each into a folder of its own"
        raise InputError(msg)
    return Results(tuple(table for run in runs for table in _tables(run)), model=next(iter(models)))


def _tables(run: Run) -> tuple[Table, ...]:
    settings = run.settings
    rules = "the released scripts' rules" if settings.official else "no ground truth leaks"
    scans = len({row.scan for row in run.rows})
    sets = ", ".join(sorted({row.dataset for row in run.rows}))
    notes: tuple[str, ...] = (
        "Dice on the scans' own grids, mean (95% interval over patients); "
        f"{scans} scans of {sets}; {rules}. `{settings.command}`, {run.model['runtime']} "
        f"{run.model['precision']} on {run.model['device']}.",
    )
    if run.failures:
        notes += (f"{len(run.failures)} scans failed and are not counted.",)
    title = f"Protocol {settings.label}: {settings.experiment.about}"
    whole, parts = structures(run), datasets(run)
    tables = (
        Table(title, notes, whole.names, whole.rows),
        Table(f"{title}, by data set", (), parts.names, parts.rows),
    )
    return tables if parts.rows else tables[:1]
