"""Where the planes and the legend go: one common scale, aligned along shared axes."""

from __future__ import annotations

from dataclasses import dataclass

GAP = 12
WIDTH, HEIGHT = 1500, 1120
"""Largest size of the planes together, in pixels."""
LEGEND_WIDTH, LEGEND_HEIGHT = 256, 240
"""Least size of the legend, in pixels; a scan that leaves it less height is not tall."""


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture in pixels."""

    x: int
    y: int
    width: int
    height: int


def arrange(width_mm: float, depth_mm: float, height_mm: float) -> tuple[list[Box], Box]:
    """Place the planes of a body of the given extents (left-right, front-back, up-down).

    A chest or abdomen becomes a square of four: axial and legend above, coronal and sagittal
    below, so that the axial and coronal planes share their columns and the coronal and sagittal
    planes their rows. A tall scan becomes a row: coronal, sagittal, and axial above the legend.

    Returns:
        The boxes of the axial, coronal and sagittal plane, and of the legend.
    """
    in_a_row = _row(width_mm, depth_mm, height_mm)
    if in_a_row[1].height >= LEGEND_HEIGHT:
        return in_a_row
    return _square(width_mm, depth_mm, height_mm)


def canvas_size(boxes: list[Box]) -> tuple[int, int]:
    """Width and height that hold all boxes."""
    return max(b.x + b.width for b in boxes), max(b.y + b.height for b in boxes)


def _square(width: float, depth: float, height: float) -> tuple[list[Box], Box]:
    scale = min(WIDTH / (width + depth), HEIGHT / (depth + height))
    w, d, h = (_pixels(side, scale) for side in (width, depth, height))
    right = w + GAP
    axial, coronal = Box(0, 0, w, d), Box(0, d + GAP, w, h)
    sagittal = Box(right, d + GAP, d, h)
    return [axial, coronal, sagittal], Box(right, 0, max(d, LEGEND_WIDTH), d)


def _row(width: float, depth: float, height: float) -> tuple[list[Box], Box]:
    scale = min(WIDTH / (2 * width + depth), HEIGHT / height)
    w, d, h = (_pixels(side, scale) for side in (width, depth, height))
    coronal, sagittal = Box(0, 0, w, h), Box(w + GAP, 0, d, h)
    right = w + d + 2 * GAP
    below = d + GAP
    legend = Box(right, below, max(w, LEGEND_WIDTH), h - below)
    return [Box(right, 0, w, d), coronal, sagittal], legend


def _pixels(millimetres: float, scale: float) -> int:
    return max(16, round(millimetres * scale))
