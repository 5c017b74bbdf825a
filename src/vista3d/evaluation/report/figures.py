"""Numbers as people read them in a report."""

from __future__ import annotations

import math

from vista3d.evaluation.metrics.intervals import Estimate


def figure(value: float, digits: int = 3) -> str:
    """A number for a table, a true minus before it; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{_rounded(value, digits):.{digits}f}".replace("-", "−")


def interval(value: Estimate, digits: int = 3) -> str:
    """Both ends; nothing where there is no interval."""
    if math.isnan(value.low):
        return ""
    return f"{figure(value.low, digits)} to {figure(value.high, digits)}"


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign."""
    if math.isnan(value):
        return "–"
    return f"{_rounded(value, digits):+.{digits}f}".replace("-", "−")


def _rounded(value: float, digits: int) -> float:
    """Never the negative zero that -0.0004 would be shown as."""
    return round(value, digits) + 0.0


def is_clear(value: Estimate) -> bool:
    """Whether an interval of differences leaves out 0."""
    return value.low > 0 or value.high < 0
