"""Solids made of solids: union, cut, offset, bumps, mirror image; tubes along smooth curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vista3d.phantom.shapes import Array, Point, Shape, as_point, region, tube


def union(*shapes: Shape, blend: float = 0.0) -> Shape:
    """Union; `blend` mm of fillet where surfaces meet."""

    def distance(x: Array, y: Array, z: Array) -> Array:
        out = shapes[0].distance(x, y, z)
        for shape in shapes[1:]:
            out = _smooth_min(out, shape.distance(x, y, z), blend)
        return out

    low = np.min([shape.low for shape in shapes], 0) - blend
    return Shape(distance, as_point(low), as_point(np.max([s.high for s in shapes], 0) + blend))


def intersection(*shapes: Shape, blend: float = 0.0) -> Shape:
    """Intersection; `blend` mm of rounding where surfaces meet."""

    def distance(x: Array, y: Array, z: Array) -> Array:
        out = -shapes[0].distance(x, y, z)
        for shape in shapes[1:]:
            out = _smooth_min(out, -shape.distance(x, y, z), blend)
        return -out

    low = np.max([shape.low for shape in shapes], 0)
    return Shape(distance, as_point(low), as_point(np.min([s.high for s in shapes], 0)))


def subtract(shape: Shape, *others: Shape, blend: float = 0.0) -> Shape:
    """`shape` without the others."""
    return intersection(shape, *(complement(other) for other in others), blend=blend)


def complement(shape: Shape) -> Shape:
    """Everything outside `shape`."""
    return region(lambda x, y, z: -shape.distance(x, y, z))


def grow(shape: Shape, by: float) -> Shape:
    """`shape` with its surface moved outwards by `by` mm (inwards where negative)."""
    low, high = np.asarray(shape.low) - by, np.asarray(shape.high) + by
    return Shape(
        lambda x, y, z: shape.distance(x, y, z) - np.float32(by), as_point(low), as_point(high)
    )


def lumpy(shape: Shape, amount: float, period: float, phase: float = 0.0) -> Shape:
    """`shape` with bumps of `amount` mm, about `period` mm apart."""
    k = np.float32(2 * np.pi / period)

    def distance(x: Array, y: Array, z: Array) -> Array:
        bumps = np.sin(k * x + phase) * np.sin(k * y + 2 * phase) * np.sin(k * z + 3 * phase)
        return np.asarray(shape.distance(x, y, z) + np.float32(amount) * bumps)

    low, high = np.asarray(shape.low) - amount, np.asarray(shape.high) + amount
    return Shape(distance, as_point(low), as_point(high))


def mirror(shape: Shape) -> Shape:
    """`shape` on the other side of the plane x = 0."""
    low = (-shape.high[0], *shape.low[1:])
    return Shape(lambda x, y, z: shape.distance(-x, y, z), low, (-shape.low[0], *shape.high[1:]))


def moved(shape: Shape, shift: Sequence[float] | Array, scale: float = 1.0) -> Shape:
    """`shape` scaled about the middle of its box, then shifted by `shift` mm."""
    centre = (np.asarray(shape.low) + np.asarray(shape.high)) / 2
    offset = (centre + np.asarray(shift) - scale * centre).astype(np.float32)
    factor = np.float32(scale)

    def distance(x: Array, y: Array, z: Array) -> Array:
        inner = [(axis - o) / factor for axis, o in zip((x, y, z), offset, strict=True)]
        return np.asarray(shape.distance(*inner) * factor)

    low, high = (np.asarray(corner) * scale + offset for corner in (shape.low, shape.high))
    return Shape(distance, as_point(low), as_point(high))


def smooth_path(points: Sequence[Point], step: float = 8.0) -> list[Point]:
    """Points about `step` mm apart on a smooth curve through `points`."""
    from scipy.interpolate import PchipInterpolator

    path = np.asarray(points, float)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    count = max(2, int(np.ceil(along[-1] / step)) + 1)
    return [as_point(p) for p in PchipInterpolator(along, path)(np.linspace(0, along[-1], count))]


def spread(values: Sequence[float], count: int) -> list[float]:
    """`values` interpolated linearly to `count` numbers, for radii along a smooth path."""
    return list(np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(values)), values))


def smooth_tube(
    points: Sequence[Point],
    radii: Sequence[float],
    *,
    step: float = 8.0,
    wide: Point | None = None,
    flatten: float = 1.0,
    reach: float = 10.0,
) -> Shape:
    """Tube along a smooth curve through `points`; radii spread evenly over its length."""
    path = smooth_path(points, step)
    return tube(path, spread(radii, len(path)), wide=wide, flatten=flatten, reach=reach)


def _smooth_min(a: Array, b: Array, blend: float) -> Array:
    if blend <= 0:
        return np.asarray(np.minimum(a, b))
    h = np.maximum(blend - np.abs(a - b), 0) / np.float32(blend)
    return np.asarray(np.minimum(a, b) - h * h * np.float32(blend / 4))
