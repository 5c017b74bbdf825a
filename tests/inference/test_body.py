"""The patient is what is thick, and what that encloses; tables, foam and clothes are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vista3d.inference.body import body

AIR, FOAM, LUNG, FLESH = -1000, -960, -850, 40
SPACING = (3.0, 3.0, 3.0)


def trunk(*, size: int = 80) -> np.ndarray:
    """An ellipse of flesh with two lungs; below it a shell of 3 mm around foam."""
    i, j, _ = np.meshgrid(*(np.arange(n) for n in (size, size, 20)), indexing="ij")
    hu = np.full(i.shape, AIR, np.float32)
    hu[((i - 40) / 30) ** 2 + ((j - 45) / 18) ** 2 < 1] = FLESH
    for side in (-12, 12):
        hu[((i - 40 - side) / 8) ** 2 + ((j - 45) / 12) ** 2 < 1] = LUNG
    hu[10:70, 12:20] = FLESH
    hu[11:69, 13:19] = FOAM
    return hu


def test_lungs_are_inside_and_the_table_is_not():
    hu = trunk()
    found = body(hu, SPACING)
    assert found[hu == LUNG].all()
    assert found[:, 27:][hu[:, 27:] == FLESH].all()
    assert not found[:, :20].any()
    assert found.mean() < 0.5


def test_arms_are_parts_of_the_patient_and_rails_are_not():
    hu = trunk()
    hu[2:9, 40:47] = FLESH
    hu[74:79, 10:13, 3:5] = FLESH
    found = body(hu, SPACING)
    assert found[2:9, 40:47].all()
    assert not found[74:79, 10:13].any()


def test_a_crop_that_ends_in_a_lung_is_all_patient():
    crop = trunk()[28:40, 38:52]
    assert (crop[0] == LUNG).any()
    assert body(crop, SPACING).all()


def test_fine_voxels_have_the_same_patient():
    coarse = body(trunk(), SPACING)
    fine = body(trunk().repeat(2, 0).repeat(2, 1).repeat(2, 2), (1.5, 1.5, 1.5))
    assert (fine[::2, ::2, ::2] == coarse).mean() > 0.98


@pytest.mark.parametrize("value", [AIR, FLESH])
def test_nothing_or_everything_is_patient_where_all_is_alike(value: int):
    assert body(np.full((9, 8, 7), value, np.float32), SPACING).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 12)] * 3))
def test_no_thick_part_is_lost(seed: int, shape: tuple[int, int, int]):
    rng = np.random.default_rng(seed)
    hu = rng.choice([AIR, LUNG, FLESH], size=shape).astype(np.float32)
    hu = hu.repeat(5, 0).repeat(5, 1).repeat(5, 2)
    hu[:5, :5, :5] = FLESH
    found = body(hu, SPACING)
    assert found.shape == hu.shape
    assert found[:5, :5, :5].all()
