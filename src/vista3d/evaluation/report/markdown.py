"""The figures as Markdown tables, for a terminal and for documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vista3d.evaluation.comparison import Difference
from vista3d.evaluation.report.figures import interval
from vista3d.evaluation.report.files import Listed
from vista3d.evaluation.report.tables import Grid, datasets, gains, structures
from vista3d.evaluation.run_folder import Run
from vista3d.evaluation.summary import ALL
from vista3d.volume.writers import atomic_path
from vista3d.wording import counted


def markdown(listed: Listed) -> str:
    """For each run a table of its structures, one of several data sets, one of differences."""
    return "\n\n".join(block for run, better in listed for block in _run(run, better))


def write_markdown(path: Path, listed: Listed) -> Path:
    """`markdown` as a file."""
    with atomic_path(path) as temporary:
        temporary.write_text(markdown(listed) + "\n", encoding="utf-8")
    return path


def _run(run: Run, better: Sequence[Difference]) -> Iterator[str]:
    settings = run.settings
    rules = ", everything prompted" if settings.everything else ""
    rules += ", released rules" if settings.official else ""
    scans = len({row.scan for row in run.rows})
    # Of a single patient there is no interval.
    sure = any(interval(line.dice) for line in run.lines)
    dice = "Dice with 95% intervals" if sure else "Dice"
    yield f"**{settings.protocol}{rules}** ({run.name}, {counted(scans, 'scan')}, {dice})"
    if run.part is not None:
        yield run.part.sentence
    if not run.lines:
        yield "No scan could be evaluated."
        return
    yield _table(structures(run))
    parts, gained = datasets(run), gains(better)
    if parts.rows:
        yield _table(parts)
    if gained.rows:
        yield f"{run.name} better than the first run by (Dice, paired):"
        yield _table(gained)


def _table(grid: Grid) -> str:
    lines = [grid.names, ("---",) * len(grid.names), *grid.rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return f"**{text}**" if text == ALL else text.replace("|", "\\|")
