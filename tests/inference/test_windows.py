"""Windows: MONAI's rules, and coverage."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vista3d.inference.windows import WindowGrid, even_starts, importance, regular_starts

SIZES = st.integers(1, 300)


@given(SIZES, st.sampled_from([16, 64, 96, 128]), st.sampled_from([0, 0.25, 0.5, 0.625]))
def test_every_voxel_is_covered_and_no_window_sticks_out(size, window, overlap):
    length = max(size, window)
    for rule in (regular_starts, even_starts):
        starts = rule(length, window, overlap)
        assert starts[0] == 0
        assert starts[-1] + window == length
        assert all(b > a for a, b in itertools.pairwise(starts))
        assert all(b - a <= window * (1 - overlap) + 1 for a, b in itertools.pairwise(starts))


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.625])
@pytest.mark.parametrize("shape", [(128, 200, 97), (64, 64, 64), (300, 65, 150)])
def test_same_windows_as_monai(shape, overlap):
    from monai.data.utils import dense_patch_slices
    from monai.inferers.utils import _get_scan_interval

    window = (64, 64, 64)
    grid = WindowGrid.over(shape, window, overlap)
    interval = _get_scan_interval(grid.padded, window, 3, (overlap,) * 3)
    expected = [
        tuple(s.start for s in w) for w in dense_patch_slices(grid.padded, window, interval)
    ]
    assert list(grid.starts) == expected


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
def test_same_weights_as_monai(mode):
    from monai.data.utils import compute_importance_map

    window = (32, 48, 16)
    expected = compute_importance_map(window, mode=mode, sigma_scale=0.125).numpy()
    expected = np.clip(expected, max(float(expected.min()), 1e-3), None)
    np.testing.assert_allclose(importance(window, mode), expected, rtol=1e-5)


@given(st.tuples(SIZES, SIZES, SIZES))
def test_padding_is_split_as_monai_does(shape):
    grid = WindowGrid.over(shape, (64, 64, 64), 0.25)
    volume, local = grid.inside(grid.starts[0])
    for axis in range(3):
        assert grid.before[axis] == max(0, 64 - shape[axis]) // 2
        assert volume[axis].stop - volume[axis].start == local[axis].stop - local[axis].start
        assert local[axis].start == grid.before[axis]


SMALL = st.integers(1, 150)
TINY = st.integers(1, 40)


@given(
    st.tuples(SMALL, SMALL, SMALL),
    st.tuples(*[st.sampled_from([16, 32, 48])] * 3),
    st.sampled_from([0.0, 0.125, 0.25, 0.3, 0.5, 0.625, 0.75]),
)
def test_same_windows_as_monai_for_any_shape(shape, window, overlap):
    from monai.data.utils import dense_patch_slices
    from monai.inferers.utils import _get_scan_interval

    grid = WindowGrid.over(shape, window, overlap)
    interval = _get_scan_interval(grid.padded, window, 3, (overlap,) * 3)
    expected = dense_patch_slices(grid.padded, window, interval)
    assert list(grid.starts) == [tuple(part.start for part in box) for box in expected]


@given(SIZES, st.sampled_from([16, 96, 128]), st.sampled_from([0, 0.25, 0.625]))
def test_even_windows_are_as_few_as_regular_ones(size, window, overlap):
    size = max(size, window)
    even, regular = even_starts(size, window, overlap), regular_starts(size, window, overlap)
    assert len(even) == len(regular)


def test_even_placement_spreads_what_monai_piles_up_at_the_far_border():
    assert regular_starts(200, 96, 0.25) == [0, 72, 104]
    assert even_starts(200, 96, 0.25) == [0, 52, 104]


@given(
    st.tuples(TINY, TINY, TINY),
    st.sampled_from([8, 16]),
    st.sampled_from([0, 0.25, 0.5]),
    st.sampled_from(["even", "regular"]),
)
def test_every_voxel_belongs_to_the_window_whose_centre_is_nearest(shape, size, overlap, placement):
    grid = WindowGrid.over(shape, (size,) * 3, overlap, placement)
    owner = np.full(shape, -1)
    for number, start in enumerate(grid.starts):
        box, local = grid.nearest(start)
        assert (owner[box] == -1).all()
        owner[box] = number
        covered, seen = grid.inside(start)
        for near, inner, whole, shown in zip(box, local, covered, seen, strict=True):
            assert whole.start <= near.start <= near.stop <= whole.stop
            assert near.start - whole.start == inner.start - shown.start
            assert near.stop - near.start == inner.stop - inner.start
    assert (owner >= 0).all()
    centres = np.array(grid.starts) - grid.before + (size - 1) / 2
    for axis in range(3):
        at = np.arange(shape[axis])
        distance = np.abs(centres[owner][..., axis] - np.moveaxis(at[:, None, None], 0, axis))
        closest = np.abs(np.unique(centres[:, axis])[:, None] - at).min(0)
        assert (distance == np.moveaxis(closest[:, None, None], 0, axis)).all()
