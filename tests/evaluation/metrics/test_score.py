"""Scores against shapes whose answers are known, and against MONAI on whole volumes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from monai.metrics import compute_dice

from vista3d.evaluation.metrics import Score, dice, hausdorff95, score, surface_dice, volume_ml
from vista3d.volume import Geometry

SHAPE = (14, 12, 10)


def geometry(*spacing: float) -> Geometry:
    return Geometry(SHAPE, np.diag([*spacing, 1.0]))


def box(*bounds: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in bounds)] = True
    return mask


CUBE = box((3, 9), (3, 9), (3, 9))
SHIFTED = box((4, 10), (3, 9), (3, 9))
masks = arrays.arrays(bool, (5, 4, 6))


def test_a_perfect_mask():
    found = score(CUBE, CUBE, geometry(1, 2, 3))
    assert (found.dice, found.surface_dice, found.hausdorff95_mm) == (1, 1, 0)
    assert found.volume_error_ml == found.volume_error == 0
    assert found.truth_ml == pytest.approx(6**3 * 6 / 1000)


def test_a_shift_by_a_voxel_is_measured_in_millimetres():
    assert dice(SHIFTED, CUBE) == pytest.approx(5 / 6)
    assert hausdorff95(SHIFTED, CUBE, (2.5, 1, 1)) == pytest.approx(2.5)
    # Two faces of six lie 2.5 mm apart, the rims of the others less.
    assert surface_dice(SHIFTED, CUBE, (2.5, 1, 1), 2.6) == 1
    assert 0.5 < surface_dice(SHIFTED, CUBE, (2.5, 1, 1), 1.0) < 0.9


def test_surfaces_count_by_their_area():
    """A plate is a thick slice too high. By area 5000 to 5400 of 15400 mm2 are wrong, by voxels
    at the border nearly half."""
    truth = np.zeros((54, 54, 9), bool)
    truth[2:52, 2:52, 2:6] = True
    found = truth.copy()
    found[2:52, 2:52, 6] = True
    spacing = (1.0, 1.0, 3.0)
    assert surface_dice(found, truth, spacing, 1.0) == pytest.approx(0.66, abs=0.03)
    assert surface_dice(found, truth, spacing, 1.0) == surface_dice(truth, found, spacing, 1.0)


def test_the_border_of_the_scan_is_a_surface():
    whole = np.ones(SHAPE, bool)
    assert surface_dice(whole, whole, (1, 1, 1), 1.0) == 1
    assert hausdorff95(whole, box((0, 14), (0, 12), (0, 5)), (1, 1, 1)) > 4


def test_the_place_in_the_scan_does_not_matter():
    roll = [np.roll(mask, (3, 1, 0), (0, 1, 2)) for mask in (SHIFTED, CUBE)]
    assert score(*roll, geometry(1, 1, 2)) == score(SHIFTED, CUBE, geometry(1, 1, 2))


def test_a_sheared_grid_keeps_its_volume():
    affine = np.eye(4)
    affine[0, 2] = 0.7
    assert volume_ml(CUBE, Geometry(SHAPE, affine)) == pytest.approx(0.216)


NOTHING = np.zeros(SHAPE, bool)


@pytest.mark.parametrize(
    ("found", "truth", "outcome", "worth"),
    [
        (CUBE, CUBE, "found", 1.0),
        (NOTHING, CUBE, "missed", 0.0),
        (CUBE, NOTHING, "false positive", 0.0),
        (NOTHING, NOTHING, "true negative", math.nan),
    ],
)
def test_the_four_outcomes_survive_a_file(found, truth, outcome, worth):
    made = score(found, truth, geometry(1, 1, 1))
    assert made.outcome == outcome
    assert made.dice == pytest.approx(worth, nan_ok=True)
    assert str(Score.from_json(made.to_json())) == str(made)
    assert all(value is None or math.isfinite(value) for value in made.to_json().values())


def test_what_is_missed_is_infinitely_far():
    assert score(NOTHING, CUBE, geometry(1, 1, 1)).hausdorff95_mm == math.inf


@given(masks, masks)
@settings(max_examples=60, deadline=None)
def test_dice_is_monais_on_the_whole_volume(found, truth):
    """Cut to the joint box, one class at a time, it is the published number bit for bit."""
    whole = compute_dice(torch.from_numpy(found)[None, None], torch.from_numpy(truth)[None, None])
    np.testing.assert_equal(dice(found, truth), float(whole))
