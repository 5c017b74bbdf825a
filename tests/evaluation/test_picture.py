import numpy as np

from vista3d.evaluation.picture import COLOURS, draw_errors
from vista3d.volume import Volume


def volume() -> Volume:
    return Volume(np.full((40, 36, 30), 30, np.int16), np.diag([1.0, 1.0, 2.0, 1.0]))


def masks() -> tuple[np.ndarray, np.ndarray]:
    truth, found = (np.zeros((40, 36, 30), bool) for _ in range(2))
    truth[10:24, 10:24, 8:20] = True
    found[16:30, 10:24, 8:20] = True
    return truth, found


def test_all_three_kinds_of_voxels_show():
    picture = draw_errors(volume(), *masks())
    assert picture is not None
    assert picture.width <= 1000
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    for colour in COLOURS.values():
        # The outline has the full colour.
        assert (np.abs(pixels - colour).max(1) < 12).sum() > 20


def test_the_planes_are_those_with_errors():
    truth, found = masks()
    found = truth.copy()
    found[10:24, 10:24, 18:20] = False
    picture = draw_errors(volume(), truth, found)
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - COLOURS[2]).max(1) < 12).any()


def test_nothing_is_not_drawn():
    nothing = np.zeros((40, 36, 30), bool)
    assert draw_errors(volume(), nothing, nothing) is None
