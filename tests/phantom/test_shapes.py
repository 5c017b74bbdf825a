"""Signed distances: sign, size near the surface, boxes that hold the inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vista3d.phantom.combine import (
    grow,
    intersection,
    mirror,
    moved,
    smooth_path,
    smooth_tube,
    subtract,
    union,
)
from vista3d.phantom.shapes import (
    Profile,
    Shape,
    cylinder,
    ellipsoid,
    loft,
    plate,
    tube,
)

SOLIDS = {
    "ellipsoid": ellipsoid((3, -2, 5), (20, 12, 30), (20, -15, 40)),
    "cylinder": cylinder((0, 4, 0), (18, 12), 10, (25, 0, 0)),
    "tube": tube([(-20, 0, 0), (0, 10, 5), (20, 0, -10)], [8, 5, 10]),
    "band": tube([(-20, 0, 0), (20, 5, 0)], 12.0, wide=(0, 0, 1), flatten=0.5),
    "plate": plate([(-20, 0, 0), (20, 0, 5), (0, 5, 25)], 4.0),
    "loft": loft(Profile((-20, 0, 20), (10, 25, 15), (12, 20, 18), (-10, -22, -9))),
    "union": union(ellipsoid((-8, 0, 0), (15,) * 3), ellipsoid((8, 0, 0), (15,) * 3), blend=6),
    "cut": subtract(ellipsoid((0, 0, 0), (20,) * 3), ellipsoid((15, 0, 0), (12,) * 3), blend=4),
    "moved": moved(ellipsoid((5, 5, 5), (10, 15, 20)), (3, -4, 6), 1.2),
    "mirrored": mirror(ellipsoid((15, 0, 0), (10, 12, 8))),
}


def grid(step: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    axis = np.arange(-50, 50 + step, step, dtype=np.float32)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return x, y, z


@pytest.mark.parametrize("name", SOLIDS)
def test_box_holds_the_inside(name: str) -> None:
    shape = SOLIDS[name]
    x, y, z = grid()
    inside = shape.distance(x, y, z) <= 0
    assert inside.any()
    for axis, low, high in zip((x, y, z), shape.low, shape.high, strict=True):
        assert axis[inside].min() >= low - 1e-3
        assert axis[inside].max() <= high + 1e-3


@pytest.mark.parametrize("name", SOLIDS)
def test_gradient_is_about_one_at_the_surface(name: str) -> None:
    """Partial volume needs distances in mm: the median slope lies near 1."""
    x, y, z = grid(1.0)
    distance = SOLIDS[name].distance(x, y, z).astype(float)
    slope = np.sqrt(sum(g**2 for g in np.gradient(distance)))
    assert 0.75 < np.median(slope[np.abs(distance) < 1]) < 1.35


@given(
    centre=st.tuples(*[st.floats(-15, 15)] * 3),
    radii=st.tuples(*[st.floats(10, 24)] * 3),
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
)
def test_ellipsoid_volume_does_not_depend_on_pose(
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    turn: tuple[float, float, float],
) -> None:
    x, y, z = grid()
    count = (ellipsoid(centre, radii, turn).distance(x, y, z) < 0).sum() * 8
    assert count == pytest.approx(4 / 3 * np.pi * np.prod(radii), rel=0.12)


@given(by=st.floats(-3, 8))
def test_grow_moves_the_surface(by: float) -> None:
    x, y, z = grid()
    count = (grow(ellipsoid((0, 0, 0), (15,) * 3), by).distance(x, y, z) < 0).sum() * 8
    assert count == pytest.approx(4 / 3 * np.pi * (15 + by) ** 3, rel=0.12)


def test_set_operations() -> None:
    x, y, z = grid()
    a, b = ellipsoid((0, 0, 0), (20,) * 3), ellipsoid((10, 0, 0), (12,) * 3)

    def inside(shape: Shape) -> np.ndarray:
        return shape.distance(x, y, z) < 0

    assert np.array_equal(inside(union(a, b)), inside(a) | inside(b))
    assert np.array_equal(inside(intersection(a, b)), inside(a) & inside(b))
    assert np.array_equal(inside(subtract(a, b)), inside(a) & (b.distance(x, y, z) > 0))
    assert np.array_equal(inside(mirror(b)), inside(b)[::-1])


def test_tube_is_exact_on_a_straight_line() -> None:
    shape = tube([(0, 0, -20), (0, 0, 20)], 5.0)
    x, y, z = (np.array(v, np.float32).reshape(1, 1, 2) for v in ((0, 8), (0, 0), (0, 10)))
    assert np.allclose(shape.distance(x, y, z).ravel(), (-5, 3))


def test_smooth_path_keeps_its_ends() -> None:
    points = [(0.0, 0.0, 0.0), (10.0, 5.0, 0.0), (30.0, 0.0, 10.0)]
    path = smooth_path(points, 3)
    assert np.allclose(path[0], points[0])
    assert np.allclose(path[-1], points[-1])
    assert max(np.linalg.norm(np.diff(path, axis=0), axis=1)) < 6
    assert smooth_tube(points, [4, 2]).low[0] == pytest.approx(-4)
