"""Small SVG drawings for the page; colours and fonts come from its style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vista3d.evaluation.metrics.intervals import Estimate

STRIP = (150, 20)
"""Width and height of a strip, px."""
CHART = (250, 170)
LEFT, RIGHT, TOP, BOTTOM = 30, 10, 8, 22
"""Room for the axes of a chart, px."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: for the tooltip.
        style: CSS class.
        points: (clicks made, estimate).
    """

    name: str
    style: str
    points: tuple[tuple[float, Estimate], ...]


def strip(values: Sequence[float], mean: Estimate) -> str:
    """Scores in [0, 1] as dots, their mean as a tick and its interval as a bar."""
    width, height = STRIP
    middle = height / 2

    def x(value: float) -> str:
        return f"{4 + (width - 8) * value:.1f}"

    parts = [f'<line class="track" x1="{x(0)}" x2="{x(1)}" y1="{middle}" y2="{middle}"/>']
    # Dots of equal scores are told apart by a fixed spread over the height.
    for number, value in enumerate(sorted(v for v in values if not math.isnan(v))):
        y = middle + (number % 5 - 2) * 2.2
        parts.append(f'<circle class="dot" cx="{x(value)}" cy="{y:.1f}" r="2"/>')
    if not math.isnan(mean.low):
        parts.append(
            f'<line class="interval" x1="{x(mean.low)}" x2="{x(mean.high)}" '
            f'y1="{middle}" y2="{middle}"/>'
        )
    if not math.isnan(mean.value):
        at = x(mean.value)
        parts.append(f'<line class="mean" x1="{at}" x2="{at}" y1="2" y2="{height - 2}"/>')
    return _svg(width, height, parts, "strip")


def chart(curves: Sequence[Curve], last: float) -> str:
    """Dice over clicks, from 0 to 1 and from 0 to `last`, with the intervals as bands."""
    width, height = CHART

    def x(clicks: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * clicks / max(last, 1)

    def y(dice: float) -> float:
        return TOP + (height - TOP - BOTTOM) * (1 - dice)

    parts = []
    for dice in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y(dice):.1f}" '
            f'y2="{y(dice):.1f}"/>'
        )
        if dice in (0, 0.5, 1):
            parts.append(f'<text class="y" x="{LEFT - 5}" y="{y(dice) + 3:.1f}">{dice:g}</text>')
    for clicks in ticks(last):
        parts.append(f'<text class="x" x="{x(clicks):.1f}" y="{height - 8}">{clicks}</text>')
    for curve in curves:
        known = [(x(c), e) for c, e in curve.points if not math.isnan(e.value)]
        banded = [(a, e) for a, e in known if not math.isnan(e.low)]
        if len(banded) > 1:
            upper = [f"{a:.1f},{y(e.high):.1f}" for a, e in banded]
            lower = [f"{a:.1f},{y(e.low):.1f}" for a, e in reversed(banded)]
            points = " ".join([*upper, *lower])
            parts.append(f'<polygon class="band {curve.style}" points="{points}"/>')
        line = " ".join(f"{a:.1f},{y(e.value):.1f}" for a, e in known)
        parts.append(f'<polyline class="line {curve.style}" points="{line}"/>')
        parts += [
            f'<circle class="knot {curve.style}" cx="{a:.1f}" cy="{y(e.value):.1f}" r="2.4"/>'
            for a, e in known
        ]
    return _svg(width, height, parts, "chart")


def ticks(last: float) -> list[int]:
    """At most six round numbers of clicks from 0 on."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if last / s <= 5 or s == 100)
    return list(range(0, int(last) + 1, step))


def _svg(width: int, height: int, parts: Sequence[str], style: str) -> str:
    return (
        f'<svg class="{style}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img">{"".join(parts)}</svg>'
    )
