"""Components of arrays of any shape, thin ones too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from vista3d.volume import components, largest

SHAPES = tuple(itertools.product((1, 2, 3, 5, 6), repeat=3))


@pytest.mark.parametrize("density", [0.2, 0.5])
def test_as_scipy_numbers_them(density: float):
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        mask = rng.random(shape) < density
        expected, count = ndimage.label(mask, np.ones((3, 3, 3)))
        found = components(mask)
        assert found.shape == shape
        assert found.max() == count
        # The same partition, whatever the numbers.
        assert len(set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))) == (
            count + (not mask.all())
        )


def test_as_many_as_an_array_can_have():
    for shape in SHAPES:
        mask = np.zeros(shape, bool)
        mask[::2, ::2, ::2] = True
        assert components(mask).max() == mask.sum()


def test_the_largest_and_the_first_of_equal_ones():
    line = np.array([[[True, False, True]]])  # cc3d's own largest_k raises here
    assert largest(line).tolist() == [[[True, False, False]]]
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 0, 0] = mask[3:5, 3:5, 3] = True
    assert np.argwhere(largest(mask)).min(0).tolist() == [3, 3, 3]
    assert largest(mask).sum() == 4
    assert not largest(np.zeros((2, 3, 4), bool)).any()
