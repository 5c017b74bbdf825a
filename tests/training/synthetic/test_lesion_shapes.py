"""Solids of lesions: size, bumps and spicules in millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d.training.synthetic.lesion_shapes import draw_shape, signed_distance


def _grid(reach: float, step: float = 0.5) -> np.ndarray:
    line = np.arange(-reach, reach + step, step, dtype=np.float32)
    return np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)


def test_a_smooth_shape_has_the_volume_of_its_ball():
    shape = draw_shape(8, 0.0, 0, np.random.default_rng(0))
    volume = (signed_distance(shape, _grid(14)) < 0).sum() * 0.125
    assert volume == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.03)


def test_lobulation_is_the_spread_of_the_radius():
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((4000, 3)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    spreads = []
    for seed in range(12):
        shape = draw_shape(10, 0.1, 0, np.random.default_rng(seed))
        # On the unstretched sphere of radius 10 the distance is minus the bump.
        onto = directions @ np.linalg.inv(shape.axes).T * 10
        spreads.append(signed_distance(shape, onto.astype(np.float32)).std() / 10)
    assert np.mean(spreads) == pytest.approx(0.1, rel=0.3)


def test_spicules_stick_out_and_taper():
    bare = draw_shape(8, 0.0, 0, np.random.default_rng(2))
    spiky = draw_shape(8, 0.0, 30, np.random.default_rng(2))
    grid = _grid(17)
    radius = np.linalg.norm(grid, axis=-1)
    inside = signed_distance(spiky, grid) < 0
    assert (signed_distance(bare, grid) < 0)[radius > 12].sum() == 0
    shells = [inside[(radius > r) & (radius < r + 1)].mean() for r in (11, 12, 13, 14)]
    assert shells[0] > shells[1] > shells[2] > 0
    assert shells[0] < 0.2
    assert not inside[radius > spiky.reach].any()


@pytest.mark.parametrize("seed", range(5))
def test_nothing_lies_beyond_the_reach(seed):
    shape = draw_shape(6, 0.15, 20, np.random.default_rng(seed))
    grid = _grid(18, 1.0)
    inside = signed_distance(shape, grid) < 0
    assert np.linalg.norm(grid, axis=-1)[inside].max() <= shape.reach
