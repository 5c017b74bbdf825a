"""Grids: when two are the same."""

import numpy as np
import pytest

from vista3d.volume import Geometry

AFFINE = np.array([[-0.7, 0, 0, 100], [0, -0.7, 0, 50], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])
GRID = Geometry((512, 512, 80), AFFINE)


def test_headers_may_round():
    written = Geometry(GRID.shape, AFFINE.astype(np.float32) + 1e-5)
    assert GRID.matches(written)
    assert GRID.corner_gap(GRID) == 0


@pytest.mark.parametrize(("row", "column", "by"), [(0, 3, 0.2), (0, 0, 5e-4), (2, 2, 2e-3)])
def test_a_shift_or_another_spacing_is_another_grid(row, column, by):
    """A wrong spacing shows at the far corner: 511 steps of 0.5 um are 0.26 mm."""
    other = AFFINE.copy()
    other[row, column] += by
    assert not GRID.matches(Geometry(GRID.shape, other))
    assert GRID.matches(Geometry(GRID.shape, other), tolerance_mm=0.3)


def test_only_the_far_corner_need_differ():
    """Equal origins, axes swapped in sign: the corners that both share are not enough."""
    flipped = AFFINE.copy()
    flipped[:3, 0] *= -1
    other = Geometry(GRID.shape, flipped)
    assert GRID.corner_gap(other) == pytest.approx(2 * 0.7 * 511)
    assert not GRID.matches(other)
    assert not GRID.matches(Geometry((512, 512, 79), AFFINE))
