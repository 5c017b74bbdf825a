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


def differences(
    rows: Sequence[Row], others: Sequence[Row], *, official: bool = False, seed: int = 0
) -> list[Difference]:
    """By structure and budget, over what both runs scored. Those of `ALL` come first.

    Where nothing is there, a false positive is 0 against the 1 of a run that found nothing; what
    neither found is no pair. By the released rules (`official`), false positives do not count.
    """
    former = {_key(row): row for row in others}
    pairs = [
        row for row in common(rows, others) if _counts(row, former[_key(row)], official=official)
    ]
    out = []
    for budget in sorted({row.clicks for row in pairs}):
        here = [row for row in pairs if row.clicks == budget]
        names = sorted({row.structure for row in here})
        for name, columns in ((ALL, names), *((name, [name]) for name in names)):
            own = [row for row in here if row.structure in columns]
            table, owners = tabulate(
                own, columns, lambda row: _dice(row) - _dice(former[_key(row)])
            )
            out.append(Difference(name, budget, len(own), estimate(table, owners, seed=seed)))
    return out


def _counts(row: Row, other: Row, *, official: bool) -> bool:
    outcomes = {row.score.outcome, other.score.outcome}
    return outcomes != {"true negative"} and not (official and "false positive" in outcomes)


def _dice(row: Row) -> float:
    return 1.0 if row.score.outcome == "true negative" else row.score.dice


def common(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """Those of a run's rows that the other run scored, too."""
    scored = {_key(row) for row in others}
    return [row for row in rows if _key(row) in scored]


def _key(row: Row) -> tuple[str, str, str, int]:
    return row.dataset, row.case, row.structure, row.clicks
