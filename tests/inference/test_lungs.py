"""What a network leaves out of lungs is found again; gas elsewhere is not taken for lung."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vista3d.inference.lungs import AIRWAYS, LOBES, missing_lung

UPPER, LOWER = LOBES[0], LOBES[1]
COLON, LIVER, TUMOUR = 62, 1, 23
SPACING = (3.0, 3.0, 3.0)


@pytest.fixture
def chest() -> tuple[np.ndarray, np.ndarray]:
    return draw_chest()


def draw_chest() -> tuple[np.ndarray, np.ndarray]:
    """A lung of two lobes on a liver, in soft tissue, in air; labels and HU [40, 40, 40]."""
    hu = np.full((40, 40, 40), -1000.0)
    hu[4:36, 4:36] = 40
    labels = np.zeros(hu.shape, np.uint8)
    labels[8:32, 8:32, 4:12] = LIVER
    hu[8:32, 8:32, 14:36] = -840
    labels[8:32, 8:32, 14:25], labels[8:32, 8:32, 25:36] = LOWER, UPPER
    return labels, hu


def test_nothing_is_missing_from_whole_lungs_or_without_any(chest):
    labels, hu = chest
    assert not missing_lung(labels, hu, SPACING).any()
    assert not missing_lung(np.where(labels == LIVER, LIVER, 0), hu, SPACING).any()


@given(
    low=st.tuples(*[st.integers(8, 26)] * 2, st.integers(14, 30)),
    size=st.tuples(*[st.integers(1, 12)] * 3),
    wrong=st.sampled_from([0, COLON]),
)
def test_any_box_left_out_of_a_lung_is_given_back_with_the_name_of_its_lobe(low, size, wrong):
    labels, hu = draw_chest()
    whole = labels.copy()
    box = tuple(
        slice(a, min(a + n, end)) for a, n, end in zip(low, size, (32, 32, 36), strict=True)
    )
    labels[box] = wrong
    found = missing_lung(labels, hu, SPACING)
    assert ((found > 0) == (labels != whole)).all()
    assert np.isin(found, (0, UPPER, LOWER)).all()
    thin = min(part.stop - part.start for part in box) <= 3
    if thin and (box[2].stop <= 21 or box[2].start >= 29):  # its own lobe is the nearest
        assert (found[box] == whole[box]).all()


def test_gas_below_the_diaphragm_around_the_patient_and_in_airways_is_no_lung(chest):
    labels, hu = chest
    hu[20:26, 20:26, 4:9] = -900  # in the liver's place, and touching no lung
    hu[14:18, 14:18, 26:30], labels[14:18, 14:18, 26:30] = -940, AIRWAYS[0]
    hu[24:28, 24:28, 26:30], labels[24:28, 24:28, 26:30] = -995, 0  # an airway without its label
    assert not missing_lung(labels, hu, SPACING).any()
    # A crop that ends in the lung: the air beside it is none.
    hu[:, 34:] = -1000
    hu[8:32, 8:36, 14:36][hu[8:32, 8:36, 14:36] > -500] = -840
    labels[8:32, 32:34, 14:36] = 0
    found = missing_lung(labels, hu, SPACING)
    assert not found[:, 36:].any()


def test_vessels_and_walls_are_left_as_they_are(chest):
    labels, hu = chest
    labels[12:20, 12:20, 16:22] = 0
    hu[15, 15, :] = 60
    found = missing_lung(labels, hu, SPACING)
    assert found[13, 13, 18] == LOWER
    assert not found[15, 15].any()


def test_a_tumour_as_thin_as_lung_keeps_its_name(chest):
    """A ground-glass nodule, and beside it a part of the lung that was left out."""
    labels, hu = chest
    hu[14:20, 14:20, 16:22], labels[14:20, 14:20, 16:22] = -650, TUMOUR
    labels[20:24, 14:20, 16:22] = 0
    found = missing_lung(labels, hu, SPACING)
    assert not found[labels == TUMOUR].any()
    assert (found[20:24, 14:20, 16:22] == LOWER).all()
