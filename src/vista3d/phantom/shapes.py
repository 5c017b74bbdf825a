"""Solids as signed distance functions: negative inside, in millimetres, in patient coordinates.

A `Shape` is a function of three broadcastable coordinate arrays and the box that holds its inside.
Distances need to be right near the surface only (partial volume uses one voxel around it); far
away they may be any positive number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Point = tuple[float, float, float]
Distance = Callable[[Array, Array, Array], Array]

FAR = np.float32(1e3)
BOUND = 1e4  # mm; a box side of an unbounded shape


@dataclass(frozen=True)
class Shape:
    """A solid.

    Attributes:
        distance: (x, y, z) -> signed distance in mm, float32, of their shape.
        low, high: corners of a box that holds every point with distance <= 0.
    """

    distance: Distance
    low: Point
    high: Point


def ellipsoid(centre: Point, radii: Point, turn: Point = (0, 0, 0)) -> Shape:
    """Ellipsoid with half-axes `radii`, turned by Euler angles `turn` (degrees about x, y, z)."""
    matrix = _rotation(turn).astype(np.float32)
    reach = np.abs(matrix.T) @ np.abs(np.asarray(radii)) if any(turn) else np.asarray(radii)

    def distance(x: Array, y: Array, z: Array) -> Array:
        p = _local(x, y, z, centre, matrix, any(turn))
        length = np.sqrt(p[0] ** 2 + p[1] ** 2 + p[2] ** 2)
        scaled = np.sqrt(sum((q / np.float32(r)) ** 2 for q, r in zip(p, radii, strict=True)))
        return _radial(length, scaled, min(radii))

    return Shape(distance, *_box(centre, reach))


def cylinder(
    centre: Point, radii: tuple[float, float], half: float, turn: Point, round_: float = 2.0
) -> Shape:
    """Elliptic cylinder along its own z, half-height `half`, edges rounded by `round_` mm."""
    matrix = _rotation(turn).astype(np.float32)
    reach = np.full(3, np.hypot(max(radii), half) + 1)

    def distance(x: Array, y: Array, z: Array) -> Array:
        p = _local(x, y, z, centre, matrix, True)
        length = np.sqrt(p[0] ** 2 + p[1] ** 2)
        scaled = np.sqrt((p[0] / np.float32(radii[0])) ** 2 + (p[1] / np.float32(radii[1])) ** 2)
        side = _radial(length, scaled, min(radii)) + np.float32(round_)
        end = np.abs(p[2]) - np.float32(half - round_)
        outside = np.sqrt(np.maximum(side, 0) ** 2 + np.maximum(end, 0) ** 2)
        return np.asarray(outside + np.minimum(np.maximum(side, end), 0) - np.float32(round_))

    return Shape(distance, *_box(centre, reach))


def tube(
    points: Sequence[Point],
    radii: float | Sequence[float],
    *,
    wide: Point | None = None,
    flatten: float = 1.0,
    reach: float = 10.0,
) -> Shape:
    """Round or flattened tube along a polyline.

    Args:
        points: centreline, mm.
        radii: radius, one or one per point, mm.
        wide: direction of the long axis of the cross-section; None for a round one.
        flatten: short axis over long axis.
        reach: distance in mm from the surface to which the result is computed; FAR beyond.
    """
    path = np.asarray(points, np.float32)
    radius = np.broadcast_to(np.asarray(radii, np.float32), (len(path),))
    margin = float(radius.max())

    def distance(x: Array, y: Array, z: Array) -> Array:
        out = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), FAR, np.float32)
        ranges = axis_ranges(x, y, z)
        for a, b, ra, rb in zip(path[:-1], path[1:], radius[:-1], radius[1:], strict=True):
            pad = max(ra, rb) + reach
            part = window(ranges, np.minimum(a, b) - pad, np.maximum(a, b) + pad)
            if part is None:
                continue
            piece = _segment(x[part], y[part], z[part], a, b, ra, rb, wide, flatten)
            np.minimum(out[part], piece, out=out[part])
        return out

    low, high = path.min(0) - margin, path.max(0) + margin
    return Shape(distance, as_point(low), as_point(high))


def plate(corners: Sequence[Point], half: float) -> Shape:
    """Triangular plate with rounded rims, `half` mm to each side."""
    a, b, c = (np.asarray(p, np.float32) for p in corners)
    normal = np.cross(b - a, c - a)
    edges = [tube([corners[i], corners[(i + 1) % 3]], half, reach=60.0) for i in range(3)]

    def distance(x: Array, y: Array, z: Array) -> Array:
        rim = np.minimum.reduce([edge.distance(x, y, z) for edge in edges])
        inside = np.ones(x.shape, bool)
        for start, end in ((a, b), (b, c), (c, a)):
            n = np.cross(normal, end - start)
            inside &= _dot(x, y, z, n, start) >= 0
        face = np.abs(_dot(x, y, z, normal, a)) / np.float32(np.linalg.norm(normal)) - half
        return np.asarray(np.where(inside, face, rim), np.float32)

    stack = np.stack([a, b, c])
    return Shape(distance, as_point(stack.min(0) - half), as_point(stack.max(0) + half))


@dataclass(frozen=True)
class Profile:
    """Cross-sections of a trunk-like solid by height: superellipses with unlike front and back.

    Attributes:
        z: heights of the knots, ascending, mm.
        half: half-width along x, front, back: y of the foremost and hindmost point, per knot.
        exponent: of the superellipse; 2 is an ellipse, larger is boxier.
    """

    z: tuple[float, ...]
    half: tuple[float, ...]
    front: tuple[float, ...]
    back: tuple[float, ...]
    exponent: float = 2.4


def loft(profile: Profile) -> Shape:
    """Solid through the cross-sections of a profile, cut flat at its first and last height."""
    from scipy.interpolate import PchipInterpolator

    step = 0.5  # mm; a table instead of interpolation per voxel
    z0, z1 = profile.z[0], profile.z[-1]
    heights = np.arange(z0, z1 + step, step)
    half, front, back = (
        PchipInterpolator(profile.z, values)(np.clip(heights, z0, z1)).astype(np.float32)
        for values in (profile.half, profile.front, profile.back)
    )
    middle, depth = (front + back) / 2, (front - back) / 2
    n = np.float32(profile.exponent)

    def distance(x: Array, y: Array, z: Array) -> Array:
        index = np.clip(((z - z0) / step).astype(np.int32), 0, len(heights) - 1)
        y = y - middle[index]
        scaled = np.abs(x) / half[index]
        other = np.abs(y) / depth[index]
        scaled = (scaled**n + other**n) ** (1 / n)
        radial = _radial(np.sqrt(x * x + y * y), scaled, 20.0)
        return np.asarray(np.maximum(radial, np.maximum(z0 - z, z - z1)))

    wide = float(half.max())
    return Shape(distance, (-wide, float(back.min()), z0), (wide, float(front.max()), z1))


def region(condition: Distance) -> Shape:
    """Unbounded shape given by a distance-like function, for intersections and cuts."""
    return Shape(condition, (-BOUND,) * 3, (BOUND,) * 3)


def _segment(
    x: Array, y: Array, z: Array, a: Array, b: Array, ra: float, rb: float,
    wide: Point | None, flatten: float,
) -> Array:  # fmt: skip
    axis = b - a
    qx, qy, qz = x - a[0], y - a[1], z - a[2]
    t = (qx * axis[0] + qy * axis[1] + qz * axis[2]) / max(float(axis @ axis), 1e-6)
    t = np.clip(t, 0, 1, out=t)
    qx, qy, qz = qx - t * axis[0], qy - t * axis[1], qz - t * axis[2]
    radius = ra + t * (rb - ra)
    length = np.sqrt(qx * qx + qy * qy + qz * qz)
    if wide is None:
        return np.asarray(length - radius)
    unit = np.asarray(wide, np.float32) / np.linalg.norm(wide)
    across = qx * unit[0] + qy * unit[1] + qz * unit[2]
    rest = np.maximum(length * length - across * across, 0)
    scaled = np.sqrt(across * across + rest / np.float32(flatten**2)) / radius
    return _radial(length, scaled, min(ra, rb) * flatten)


def axis_ranges(x: Array, y: Array, z: Array) -> list[tuple[Array, Array]]:
    """Smallest and largest coordinate of every plane across each grid axis."""
    planes = ((x, (1, 2)), (y, (0, 2)), (z, (0, 1)))
    return [(c.min(axis=axes), c.max(axis=axes)) for c, axes in planes]


def window(ranges: list[tuple[Array, Array]], low: Array, high: Array) -> tuple[slice, ...] | None:
    """Part of the grid that can hold coordinates in a box; None where there is none."""
    out = []
    for (least, most), lo, hi in zip(ranges, low, high, strict=True):
        hit = np.flatnonzero((most >= lo) & (least <= hi))
        if len(hit) == 0:
            return None
        out.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(out)


def _radial(length: Array, scaled: Array, least: float) -> Array:
    """Distance along the ray from the middle: `scaled` is 1 on the surface, 0 in the middle."""
    outward = length * (1 - 1 / np.maximum(scaled, 1e-4))
    return np.where(scaled > 1e-4, outward, np.float32(-least))


def _local(
    x: Array, y: Array, z: Array, centre: Point, matrix: Array, turned: bool
) -> tuple[Array, Array, Array]:
    x, y, z = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
    if not turned:
        return x, y, z
    m = matrix
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


def _rotation(turn: Point) -> Array:
    """World -> local matrix of a solid turned by angles (degrees) about x, then y, then z."""
    cx, cy, cz = np.cos(np.radians(turn))
    sx, sy, sz = np.sin(np.radians(turn))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray((about_z @ about_y @ about_x).T)


def _dot(x: Array, y: Array, z: Array, n: Array, origin: Array) -> Array:
    return np.asarray((x - origin[0]) * n[0] + (y - origin[1]) * n[1] + (z - origin[2]) * n[2])


def _box(centre: Point, reach: Sequence[float] | Array) -> tuple[Point, Point]:
    middle, half = np.asarray(centre, float), np.asarray(reach, float)
    return as_point(middle - half), as_point(middle + half)


def as_point(values: Array) -> Point:
    return (float(values[0]), float(values[1]), float(values[2]))
