"""Specks go, organs and lesions stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vista3d.inference.specks import organs, remove_specks
from vista3d.volume import components

LIVER, SPLEEN, TUMOUR = 1, 3, 26


def scene() -> np.ndarray:
    """1 mm voxels: a liver of 27 mL, bits of it and of others."""
    labels = np.zeros((60, 60, 60), np.uint8, order="F")
    labels[5:35, 5:35, 5:35] = LIVER
    return labels


def test_a_small_piece_far_away_goes_and_its_neighbours_stay():
    labels = scene()
    labels[45:52, 45:52, 45:52] = LIVER  # 0.3 mL
    labels[45:52, 45:52, 52:58] = SPLEEN  # as small, but all there is of it
    labels[40:44, 5:12, 5:12] = TUMOUR
    before = labels.copy()
    assert remove_specks(labels, (1, 1, 1), {LIVER, SPLEEN}) == 1
    assert not (labels[45:52, 45:52, 45:52]).any()
    before[45:52, 45:52, 45:52] = 0
    assert np.array_equal(labels, before)


@pytest.mark.parametrize(("side", "stays"), [(9, False), (16, True)])
def test_more_than_2_ml_is_no_speck(side: int, stays: bool):
    labels = scene()
    labels[44 : 44 + side, 44 : 44 + side, 44 : 44 + side] = LIVER
    remove_specks(labels, (1, 1, 1), {LIVER})
    assert (labels[44:, 44:, 44:] == LIVER).any() == stays


def test_more_than_a_tenth_is_no_speck():
    labels = np.zeros((40, 40, 40), np.uint16)
    labels[2:11, 2:11, 2:11], labels[20:26, 20:26, 20:26] = 300, 300
    before = labels.copy()
    assert remove_specks(labels, (1, 1, 1), {300}) == 0
    assert np.array_equal(labels, before)


def test_a_piece_that_a_thin_bridge_holds_is_no_speck():
    """The bridge lies between the samples."""
    labels = scene()
    labels[39:44, 9:14, 9:14] = LIVER
    labels[35:39, 12, 12] = LIVER
    before = labels.copy()
    remove_specks(labels, (1, 1, 1), {LIVER})
    assert np.array_equal(labels, before)
    labels[36:38, 12, 12] = 0
    remove_specks(labels, (1, 1, 1), {LIVER})
    assert not labels[39:].any()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([(1.0, 1.0, 1.0), (0.7, 0.8, 5.0), (3.0, 3.0, 3.0)])
)
def test_nothing_is_added_and_the_largest_piece_stays(seed: int, spacing: tuple[float, ...]):
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, LIVER, SPLEEN], size=(6, 6, 4), p=[0.7, 0.2, 0.1]).astype(np.uint8)
    labels = coarse.repeat(5, 0).repeat(5, 1).repeat(5, 2)
    before = labels.copy()
    remove_specks(labels, spacing, {LIVER})
    changed = labels != before
    assert not labels[changed].any()
    assert (before[changed] == LIVER).all()
    if (before == LIVER).any():
        sizes = np.bincount(components(before == LIVER).ravel())[1:]
        assert np.bincount(components(labels == LIVER).ravel())[1:].max() == sizes.max()


@pytest.mark.parametrize("shape", [(64, 64, 2), (1, 64, 64), (64, 2, 64)])
def test_slices_thinner_than_the_samples_are_apart(shape: tuple[int, ...]):
    labels = np.zeros(shape, np.uint8)
    thick = min(shape)
    organ, speck = (tuple(slice(0, n) if n < 3 else part for n in shape)
                    for part in (slice(2, 42), slice(50, 58)))  # fmt: skip
    labels[organ], labels[speck] = LIVER, LIVER
    assert remove_specks(labels, (0.7, 0.7, 0.7), {LIVER}) == 1
    assert np.count_nonzero(labels) == 1600 * thick == np.count_nonzero(labels[organ])


def test_a_scan_smaller_than_a_sample():
    labels = np.full((20, 20, 20), LIVER, np.uint8)
    assert remove_specks(labels, (0.05, 0.05, 0.05), {LIVER}) == 0
    assert (labels == LIVER).all()


def test_nothing_to_look_at():
    assert remove_specks(np.zeros((4, 3, 2), np.uint8), (1, 1, 1), {LIVER}) == 0
    assert remove_specks(np.zeros((4, 3, 2), np.uint8), (1, 1, 1), set()) == 0


def test_lesions_and_classes_of_a_models_own_are_no_organs():
    assert organs((LIVER, TUMOUR, 346, 121)) == (LIVER, 121)
