import numpy as np

from vista3d.evaluation.simulated_clicks import SimulatedClick, next_click

UNIT = (1.0, 1.0, 1.0)


def _box(*bounds: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((20, 20, 20), bool)
    mask[tuple(slice(a, b) for a, b in bounds)] = True
    return mask


def _first(truth: np.ndarray, spacing: tuple[float, float, float]) -> SimulatedClick:
    """Nothing was found yet."""
    click = next_click(truth, np.zeros_like(truth), spacing)
    assert click is not None
    return click


BALL = _box((4, 11), (4, 11), (4, 11))


def test_the_first_click_is_the_centre_of_the_largest_part():
    truth = BALL | _box((15, 17), (15, 17), (15, 17))
    assert _first(truth, UNIT) == SimulatedClick((7, 7, 7), positive=True)


def test_the_first_click_never_lies_beside_a_curved_object():
    ring = BALL & ~_box((6, 9), (6, 9), (0, 20))
    assert ring[_first(ring, UNIT).position]


def test_depth_is_in_millimetres():
    # 7 voxels of 0.2 mm are thinner than 3 voxels of 3 mm.
    truth = _box((2, 9), (2, 17), (8, 11))
    assert _first(truth, (0.2, 3.0, 3.0)).position[0] == 5


def test_the_larger_error_is_clicked():
    found = BALL & ~_box((4, 6), (4, 11), (4, 11)) | _box((14, 17), (14, 17), (14, 17))
    click = next_click(BALL, found, UNIT)
    assert click.positive
    assert click.position[0] in (4, 5)
    found = BALL | _box((14, 19), (14, 19), (14, 19))
    assert next_click(BALL, found, UNIT) == SimulatedClick((16, 16, 16), positive=False)


def test_nothing_wrong_no_click():
    assert next_click(BALL, BALL, UNIT) is None


def test_everything_missing_is_the_first_click():
    assert next_click(BALL, np.zeros_like(BALL), UNIT) == SimulatedClick((7, 7, 7), positive=True)
