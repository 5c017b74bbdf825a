"""Masks of label maps with odd values."""

import tracemalloc

import numpy as np
import pytest

from vista3d.errors import InputError
from vista3d.inference.interactive.masks import masks_of, values_of


def labels(*values: int, dtype=np.int64) -> np.ndarray:
    """[8, 8, 8]: a plane of each value, the rest 0."""
    out = np.zeros((8, 8, 8), dtype)
    for plane, value in enumerate(values):
        out[plane] = value
    return out


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64])
def test_what_large_values_cost_does_not_grow_with_them(dtype):
    given = labels(50_000_000, 7, 2**31 - 1, dtype=dtype)
    tracemalloc.start()
    masks = masks_of(given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**25  # with the import of scipy
    assert list(masks) == values_of(given) == [7, 50_000_000, 2**31 - 1]
    for value, mask in masks.items():
        assert (mask.array() == (given == value)).all()


def test_large_values_without_background():
    full = np.full((3, 3, 3), 70_000)
    assert values_of(full) == [70_000]
    assert masks_of(full)[70_000].voxels == 27
    assert not masks_of(full, [1])[1]


def test_nothing_at_all():
    assert values_of(labels()) == []
    assert masks_of(labels(5, dtype=np.uint8))[5].voxels == 64


def test_negative_values_are_refused():
    with pytest.raises(InputError, match="the value -3: labels are 0"):
        masks_of(labels(2, -3))
    with pytest.raises(InputError):
        values_of(labels(-1, dtype=np.int16))
