"""The released click rules on drawn masks (facts 5.2-5.4)."""

import numpy as np
import pytest

from vista3d.evaluation.official.clicks import PLATE, centre, next_error, trial

RNG = np.random.default_rng(0)


def box(*bounds: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((20, 20, 20), bool)
    mask[tuple(slice(a, b) for a, b in bounds)] = True
    return mask


BALL = box((4, 11), (4, 11), (4, 11))
NOTHING = np.zeros((20, 20, 20), bool)


def test_the_first_click_is_the_centre_of_the_largest_part_left_by_erosion():
    # The thin plate has more voxels than the ball, and erosion takes all of them.
    assert centre(BALL | box((0, 20), (0, 20), (18, 19))) == (7, 7, 7)


def test_what_erosion_takes_away_is_clicked_whole():
    assert centre(box((3, 6), (3, 6), (3, 4))) == (4, 4, 3)


def test_the_border_of_the_array_does_not_erode():
    assert centre(box((0, 2), (0, 20), (0, 20)))[0] == 0


def test_the_larger_eroded_error_is_clicked():
    # 98 voxels are missing in a plate, 27 are wrong in a cube: only the cube survives.
    found = BALL & ~box((4, 6), (4, 11), (4, 11)) | box((14, 17), (14, 17), (14, 17))
    click = next_error(BALL, found, RNG)
    assert click is not None
    assert (click.position, click.positive) == ((15, 15, 15), False)


def test_ties_are_missing_voxels():
    found = box((14, 17), (14, 17), (14, 17))
    click = next_error(box((2, 5), (2, 5), (2, 5)), found, RNG)
    assert click is not None
    assert (click.position, click.positive) == ((3, 3, 3), True)


def test_a_thin_error_is_found_by_the_plate_only():
    found = BALL & ~box((4, 11), (4, 11), (10, 11))
    assert next_error(BALL, found, RNG) is None
    click = next_error(BALL, found, RNG, PLATE)
    assert click is not None
    assert click.position[2] == 10


def test_the_first_trial_is_a_voxel_of_the_object():
    clicks = trial(BALL, BALL, True, RNG)
    assert BALL[clicks.positive[0]]
    assert not clicks.negative


@pytest.mark.parametrize("first", [True, False])
def test_an_absent_object_gets_a_wrong_voxel(first):
    clicks = trial(NOTHING, BALL, first, RNG)
    assert BALL[clicks.negative[0]]
    assert not clicks.positive
    assert not trial(NOTHING, NOTHING, first, RNG)


def test_later_trials_follow_the_errors():
    extra = box((13, 18), (13, 18), (13, 18))
    wrong = trial(BALL, BALL | extra, False, RNG)
    assert BALL[wrong.positive[0]]
    assert extra[wrong.negative[0]]
    missing = trial(BALL | extra, BALL, False, RNG)
    assert extra[missing.positive[0]]
    assert not missing.negative
    right = trial(BALL, BALL, False, RNG)
    assert BALL[right.positive[0]]
    assert not right.negative
