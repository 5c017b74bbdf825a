"""Two runs on the same scans: paired differences, which need far fewer scans than two means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vista3d.evaluation.metrics.intervals import Estimate, estimate
from vista3d.evaluation.row import Row
from vista3d.evaluation.summary import ALL, tabulate


@dataclass(frozen=True)
class Difference:
    """How much a run is better than another one.

    Attributes:
        structure: name, or `summary.ALL`.
        clicks: budget; 0 for automatic results.
        pairs: scans and structures that both runs scored.
        dice: mean of (this run - the other one), with its interval.
    """

    structure: str
    clicks: int
    pairs: int
    dice: Estimate


def differences(rows: Sequence[Row], others: Sequence[Row], *, seed: int = 0) -> list[Difference]:
    """By structure and budget, over what both runs scored. Those of `ALL` come first."""
    former = {_key(row): row.score.dice for row in others}
    pairs = common(rows, others)
    out = []
    for budget in sorted({row.clicks for row in pairs}):
        here = [row for row in pairs if row.clicks == budget]
        names = sorted({row.structure for row in here})
        for name, columns in ((ALL, names), *((name, [name]) for name in names)):
            own = [row for row in here if row.structure in columns]
            table, owners = tabulate(own, columns, lambda row: row.score.dice - former[_key(row)])
            out.append(Difference(name, budget, len(own), estimate(table, owners, seed=seed)))
    return out


def common(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """Those of a run's rows that the other run scored, too."""
    scored = {_key(row) for row in others}
    return [row for row in rows if _key(row) in scored]


def _key(row: Row) -> tuple[str, str, str, int]:
    return row.dataset, row.case, row.structure, row.clicks
