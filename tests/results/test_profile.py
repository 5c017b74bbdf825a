"""One pass over the labels gives what many passes per class would."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vista3d.results import profile as profile_module
from vista3d.results.profile import profile_labels


@given(
    labels=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=7),
        elements=st.integers(0, 5),
    ),
    order=st.permutations([0, 1, 2]),
    slab=st.sampled_from([1, 10, 1000]),
)
@settings(max_examples=60, deadline=None)
def test_counts_and_sums_are_those_of_each_label(labels, order, slab):
    labels = labels.transpose(order)
    image = np.arange(labels.size, dtype=np.int16).reshape(labels.shape) - 40
    before = profile_module.SLAB_VOXELS
    profile_module.SLAB_VOXELS = slab
    try:
        profile = profile_labels(labels, image)
    finally:
        profile_module.SLAB_VOXELS = before
    assert profile.present() == tuple(int(n) for n in np.unique(labels) if n)
    for label in profile.present():
        mask = labels == label
        assert profile.count(label) == mask.sum()
        assert profile.intensity_sum[label] == pytest.approx(image[mask].sum())
        assert profile.intensity_square[label] == pytest.approx((image[mask] ** 2.0).sum())
        where = np.argwhere(mask)
        assert profile.box(label) == tuple(zip(where.min(0), where.max(0), strict=True))
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            assert (profile.along[axis][label] == mask.sum(axis=others)).all()


def test_a_label_above_the_map_has_no_voxels():
    assert profile_labels(np.ones((2, 2, 2), np.uint8)).count(200) == 0


def test_an_empty_map_has_nothing():
    assert profile_labels(np.zeros((4, 4, 4), np.uint8)).present() == ()


def test_grids_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 2, 2\).*\(2, 2, 3\)"):
        profile_labels(np.ones((2, 2, 3), np.uint8), np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match="three axes"):
        profile_labels(np.ones((2, 2), np.uint8))


def test_memory_does_not_grow_with_the_scan():
    labels = np.ones((256, 256, 128), np.uint8)
    image = np.zeros(labels.shape, np.int16)
    tracemalloc.start()
    try:
        profile_labels(labels, image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 8.4 million foreground voxels: whole-volume int64 temporaries would be 67 MB each.
    assert peak < 120e6
