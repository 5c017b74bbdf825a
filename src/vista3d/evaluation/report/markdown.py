"""The figures as Markdown tables, for a terminal and for documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vista3d.evaluation.metrics.intervals import Estimate
from vista3d.evaluation.report.files import Listed
from vista3d.evaluation.report.page import figure, interval, signed
from vista3d.evaluation.run_folder import Run
from vista3d.evaluation.summary import ALL, Line
from vista3d.volume.writers import atomic_path


def markdown(listed: Listed) -> str:
    """A table for each run: all metrics where there is one budget, else Dice for each budget."""
    return "\n\n".join(_run(run, lines) for run, lines in listed)


def write_markdown(path: Path, listed: Listed) -> Path:
    """`markdown` as a file."""
    with atomic_path(path) as temporary:
        temporary.write_text(markdown(listed) + "\n", encoding="utf-8")
    return path


def _run(run: Run, lines: Sequence[Line]) -> str:
    settings = run.settings
    rules = ", everything prompted" if settings.everything else ""
    rules += ", released rules" if settings.official else ""
    scans = len({row.scan for row in run.rows})
    counted = f"{scans} scan{'s' * (scans != 1)}"
    # Of a single patient there is no interval.
    sure = any(interval(line.dice) for line in lines)
    dice = "Dice with 95% intervals" if sure else "Dice"
    head = f"**{settings.protocol}{rules}** ({run.name}, {counted}, {dice})\n"
    if not lines:
        return "\n".join([head, "No scan could be evaluated."])
    budgets = sorted({line.clicks for line in lines})
    table = _metrics(lines, settings.tolerance_mm) if len(budgets) == 1 else _curves(lines, budgets)
    return "\n".join([head, *table])


def _metrics(lines: Sequence[Line], tolerance_mm: float) -> list[str]:
    names = [
        "structure", "scans", "clicks made", "Dice", f"surface Dice, {tolerance_mm:g} mm",
        "Hausdorff 95%, mm", "volume error", "missed", "false positives",
    ]  # fmt: skip
    rows = [
        [
            _name(line),
            str(line.scans),
            figure(line.used, 1),
            _both(line.dice),
            _both(line.surface_dice),
            _both(line.hausdorff95_mm, 1),
            f"{signed(100 * line.volume_error.value, 0)} %",
            str(line.missed),
            f"{line.false_positives} of {line.absent}" if line.absent else "–",
        ]
        for line in lines
    ]
    return _table(names, rows)


def _curves(lines: Sequence[Line], budgets: Sequence[int]) -> list[str]:
    names = ["structure", "scans", *(f"{n} click{'s' * (n != 1)}" for n in budgets)]
    by_key = {(line.structure, line.clicks): line for line in lines}
    rows = []
    for structure in dict.fromkeys(line.structure for line in lines):
        own = [by_key[structure, budget] for budget in budgets]
        cells = [_both(line.dice) for line in own]
        rows.append([_name(own[0]), str(own[0].scans), *cells])
    made = [figure(by_key[ALL, budget].used, 1) for budget in budgets]
    return _table(names, [*rows, ["clicks made, mean", "", *made]])


def _name(line: Line) -> str:
    return f"**{line.structure}**" if line.structure == ALL else line.structure


def _both(value: Estimate, digits: int = 3) -> str:
    ends = interval(value, digits)
    return figure(value.value, digits) + (f" ({ends})" if ends else "")


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
