"""The tables at the end of a run, on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vista3d.cli.progress import duration
from vista3d.cli.settings import CaseResult

if TYPE_CHECKING:
    from rich.table import Table

    from vista3d.results import StructureStatistics


NAMED = 12
"""More names than these, such as those that 'everything' did not find, would bury the table."""


def structure_table(rows: Sequence[StructureStatistics], dice: Mapping[int, float | None]) -> Table:
    """Structure, volume, mean HU, truncation and, where a truth is known, Dice.

    Structures that were not found are left out, unless the truth holds them.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from vista3d.results import shown_ml

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("structure")
    table.add_column("volume mL", justify="right")
    table.add_column("mean HU", justify="right")
    table.add_column("truncated at")
    if dice:
        table.add_column("Dice", justify="right")
    for row in rows:
        score = dice.get(row.id)
        if not row.voxels and score is None:
            continue
        mean = "" if row.mean_hu is None else f"{row.mean_hu:.0f}"
        cells = [row.name, shown_ml(row.volume_ml), mean, ", ".join(row.borders)]
        if dice:
            cells.append("" if score is None else f"{score:.3f}")
        table.add_row(*cells)
    if dice:
        known = [score for score in dice.values() if score is not None]
        if known:
            table.add_section()
            average = sum(known) / len(known)
            table.add_row(f"mean of {len(known)}", "", "", "", f"{average:.3f}", style="bold")
    return table


def missing(rows: Sequence[StructureStatistics]) -> str:
    """What was asked for and not found, by name where these are few; empty where nothing is."""
    names = [row.name for row in rows if not row.voxels]
    if len(names) > NAMED:
        return f"not found: {len(names)} of {len(rows)} structures (the report names them)"
    return f"not found: {', '.join(names)}" if names else ""


def case_table(results: Sequence[CaseResult]) -> Table:
    """One line per case of a batch: outcome, structures found, truncated ones, time."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("case")
    table.add_column("state")
    table.add_column("structures", justify="right")
    table.add_column("truncated", justify="right")
    table.add_column("time", justify="right")
    table.add_column("note", overflow="fold")
    for result in results:
        summary = result.report.get("structures") or {}
        note = "" if result.error is None else str(result.error)
        done = result.state in ("finished", "skipped")
        table.add_row(
            Text(result.case.name),
            result.state,
            str(summary.get("found", "")) if done else "",
            str(len(summary.get("truncated", ()))) if done else "",
            duration(result.seconds),
            Text(note),
        )
    return table
