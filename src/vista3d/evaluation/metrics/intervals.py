"""How sure a mean is: bootstrap over patients, seeded (percentile method, 95%).

Patients are resampled, not scans or structures: the organs of one body are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

RESAMPLES = 2000
LEVEL = (2.5, 97.5)
"""Percentiles of the resampled figures that bound the interval."""

Centre = Literal["mean", "median"]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95% interval.

    Attributes:
        value: of the sample; NaN where there is nothing to average.
        low, high: ends of the interval; NaN where fewer than two patients have a value.
    """

    value: float
    low: float
    high: float


def estimate(
    table: np.ndarray, patients: Sequence[str], *, centre: Centre = "mean", seed: int = 0
) -> Estimate:
    """Mean over structures of the mean (or median) over their scans, as the paper averages.

    Args:
        table: [scans, structures] float; NaN where a scan has no value for a structure.
        patients: of each scan.
        centre: over scans: "mean", or "median", which takes infinite distances.
        seed: of the resampling.
    """
    values = np.asarray(table, np.float64)
    keep = ~np.isnan(values).all(1)
    values, owners = values[keep], np.asarray(patients)[keep]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    names, owner = np.unique(owners, return_inverse=True)
    value = float(_figures(values, np.ones((1, len(values)), np.int64), centre)[0])
    if len(names) < 2:
        return Estimate(value, np.nan, np.nan)
    # How often each scan is drawn: as often as its patient.
    rng = np.random.default_rng(seed)
    share = np.full(len(names), 1 / len(names))
    times = rng.multinomial(len(names), share, RESAMPLES)[:, owner]
    figures = _figures(values, times, centre)
    # Order statistics, never a value between two: infinite ones may be among them.
    low, high = np.percentile(figures, LEVEL, method="closest_observation")
    return Estimate(value, float(low), float(high))


def mean_of_means(table: np.ndarray) -> float:
    """The value of `estimate` without an interval; [scans, structures], at least one not NaN."""
    return float(_figures(table, np.ones((1, len(table)), np.int64), "mean")[0])


def _figures(values: np.ndarray, times: np.ndarray, centre: Centre) -> np.ndarray:
    """[resamples]: the figure of each one. `times` [resamples, scans] counts the draws."""
    by_scans = _means if centre == "mean" else _medians
    columns = by_scans(values, times)
    present = ~np.isnan(columns)
    total = np.where(present, columns, 0).sum(1)
    # A resample has at least one scan, and every scan a value: never 0 structures.
    return np.asarray(total / present.sum(1))


def _means(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """[resamples, structures], NaN where no scan of a resample has the structure."""
    present = ~np.isnan(values)
    count = times @ present.astype(np.int64)
    with np.errstate(invalid="ignore"):
        return np.asarray(times @ np.where(present, values, 0) / count)


def _medians(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The same for medians; of two middle values, their mean."""
    out = np.full((len(times), values.shape[1]), np.nan)
    for number, column in enumerate(values.T):
        order = np.argsort(column)[: np.count_nonzero(~np.isnan(column))]
        if not len(order):
            continue
        reached = times[:, order].cumsum(1)
        some = np.flatnonzero(reached[:, -1])
        half = reached[some, -1:] / 2
        lower = column[order][(reached[some] >= half).argmax(1)]
        upper = column[order][(reached[some] > half).argmax(1)]
        out[some, number] = np.where(lower == upper, lower, (lower + upper) / 2)
    return out
