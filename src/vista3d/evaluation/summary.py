"""From rows to figures: per structure, and over the structures of a run, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vista3d.evaluation.metrics.intervals import Centre, Estimate, estimate, mean_of_means
from vista3d.evaluation.row import Row

ALL = "all structures"


@dataclass(frozen=True)
class Line:
    """One structure, or all of them, after a number of clicks.

    Attributes:
        dataset: whose scans; "" for all scans of the run.
        structure: name, or `ALL`.
        clicks: budget; 0 for automatic results.
        used: mean of the clicks made, over the same scans and structures as `dice`; 0 where there
            are none. Clicks that emptied a mask where nothing is, are not among them.
        scans: whose truth holds the structure; for `ALL`, pairs of scan and structure.
        missed: of them, without a voxel found.
        absent: scans whose truth states that it is not there.
        false_positives: of them, where it was found nevertheless.
        dice: mean over scans; clean runs count a false positive with 0, official ones drop it.
        surface_dice: the same.
        hausdorff95_mm: median over scans; infinite where most were missed.
        volume_error_ml: mean, signed.
        volume_error: mean, signed, as a share of the true volume.
    """

    dataset: str
    structure: str
    clicks: int
    used: float
    scans: int
    missed: int
    absent: int
    false_positives: int
    dice: Estimate
    surface_dice: Estimate
    hausdorff95_mm: Estimate
    volume_error_ml: Estimate
    volume_error: Estimate


def summarise(rows: Iterable[Row], *, official: bool, seed: int = 0) -> list[Line]:
    """Lines by structure and budget, those of `ALL` first; then, of several data sets, the same for
    each. `ALL` averages the structures' means, as the paper does: a rare structure weighs as much
    as a frequent one."""
    rows = list(rows)
    sets = sorted({row.dataset for row in rows})
    parts = {"": rows}
    if len(sets) > 1:
        parts |= {name: [row for row in rows if row.dataset == name] for name in sets}
    lines = []
    for dataset, part in parts.items():
        names = sorted({row.structure for row in part})
        for budget in sorted({row.clicks for row in part}):
            here = [row for row in part if row.clicks == budget]
            lines.append(_line((dataset, ALL, budget), here, names, official, seed))
            for name in names:
                own = [row for row in here if row.structure == name]
                if own:
                    lines.append(_line((dataset, name, budget), own, [name], official, seed))
    return lines


def _line(
    key: tuple[str, str, int], rows: list[Row], names: Sequence[str], official: bool, seed: int
) -> Line:
    outcomes = [row.score.outcome for row in rows]
    scored = [row for row in rows if not (official and row.score.outcome == "false positive")]

    def figure(value: Callable[[Row], float], centre: Centre = "mean") -> Estimate:
        table, owners = tabulate(scored, names, value)
        return estimate(table, owners, centre=centre, seed=seed)

    present = [o in ("found", "missed") for o in outcomes]
    counted = [row for row in scored if row.score.outcome != "true negative"]
    used, _ = tabulate(counted, names, lambda row: row.used)
    dataset, structure, clicks = key
    return Line(
        dataset=dataset,
        structure=structure,
        clicks=clicks,
        used=mean_of_means(used) if counted else 0.0,
        scans=sum(present),
        missed=outcomes.count("missed"),
        absent=len(rows) - sum(present),
        false_positives=outcomes.count("false positive"),
        dice=figure(lambda row: row.score.dice),
        surface_dice=figure(lambda row: row.score.surface_dice),
        hausdorff95_mm=figure(lambda row: row.score.hausdorff95_mm, "median"),
        volume_error_ml=figure(
            lambda row: (
                np.nan if row.score.outcome == "true negative" else row.score.volume_error_ml
            )
        ),
        volume_error=figure(lambda row: row.score.volume_error),
    )


def tabulate(
    rows: Sequence[Row], names: Sequence[str], value: Callable[[Row], float]
) -> tuple[np.ndarray, list[str]]:
    """[scans, structures] of one figure, NaN where there is none, and the patient of each scan."""
    scans = {row.scan: row.owner for row in rows}
    place = {scan: number for number, scan in enumerate(scans)}
    column = {name: number for number, name in enumerate(names)}
    table = np.full((len(scans), len(names)), np.nan)
    for row in rows:
        table[place[row.scan], column[row.structure]] = value(row)
    return table, list(scans.values())
