"""The figures of a run as tables of text: headings and rows, for Markdown and for model cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vista3d.evaluation.comparison import Difference
from vista3d.evaluation.metrics.intervals import Estimate
from vista3d.evaluation.report.figures import figure, interval, signed
from vista3d.evaluation.run_folder import Run
from vista3d.evaluation.summary import ALL, Line
from vista3d.wording import counted


@dataclass(frozen=True)
class Grid:
    """Headings and rows of as many cells."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def structures(run: Run) -> Grid:
    """All metrics where there is one budget, else Dice for each budget."""
    lines = [line for line in run.lines if not line.dataset]
    budgets = sorted({line.clicks for line in lines})
    if len(budgets) == 1:
        return _metrics(lines, run.settings.tolerance_mm)
    return _curves(lines, budgets)


def datasets(run: Run) -> Grid:
    """Of several data sets each by itself, after the last click; of one no row."""
    last = max((line.clicks for line in run.lines), default=0)
    parts = (line for line in run.lines if line.dataset and line.clicks == last)
    rows = ((line.dataset, line.structure, str(line.scans), _both(line.dice)) for line in parts)
    return Grid(("data set", "structure", "scans", "Dice"), tuple(rows))


def gains(better: Sequence[Difference]) -> Grid:
    """Paired differences of Dice to another run; of none no row."""
    budgets = sorted({line.clicks for line in better})
    by_key = {(line.structure, line.clicks): line for line in better}
    rows = []
    for structure in dict.fromkeys(line.structure for line in better):
        own = [by_key.get((structure, budget)) for budget in budgets]
        cells = ("" if line is None else _both(line.dice, sign=True) for line in own)
        rows.append((structure, str(max(line.pairs for line in own if line)), *cells))
    return Grid(("structure", "pairs", *map(_clicks, budgets)), tuple(rows))


def _metrics(lines: Sequence[Line], tolerance_mm: float) -> Grid:
    names = (
        "structure", "scans", "clicks made", "Dice", f"surface Dice, {tolerance_mm:g} mm",
        "Hausdorff 95%, mm", "volume error", "missed", "false positives",
    )  # fmt: skip
    rows = (
        (
            line.structure,
            str(line.scans),
            figure(line.used, 1),
            _both(line.dice),
            _both(line.surface_dice),
            _both(line.hausdorff95_mm, 1),
            f"{signed(100 * line.volume_error.value, 0)} %",
            str(line.missed),
            f"{line.false_positives} of {line.absent}" if line.absent else "–",
        )
        for line in lines
    )
    return Grid(names, tuple(rows))


def _curves(lines: Sequence[Line], budgets: Sequence[int]) -> Grid:
    by_key = {(line.structure, line.clicks): line for line in lines}
    rows = []
    for structure in dict.fromkeys(line.structure for line in lines):
        own = [by_key[structure, budget] for budget in budgets]
        rows.append((structure, str(own[0].scans), *(_both(line.dice) for line in own)))
    made = (figure(by_key[ALL, budget].used, 1) for budget in budgets)
    names = ("structure", "scans", *map(_clicks, budgets))
    return Grid(names, (*rows, ("clicks made, mean", "", *made)))


def _clicks(budget: int) -> str:
    return counted(budget, "click") if budget else "automatic"


def _both(value: Estimate, digits: int = 3, *, sign: bool = False) -> str:
    ends = interval(value, digits)
    shown = signed(value.value, digits) if sign else figure(value.value, digits)
    return shown + (f" ({ends})" if ends else "")
