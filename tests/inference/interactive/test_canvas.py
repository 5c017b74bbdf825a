import numpy as np

from vista3d.inference.interactive.canvas import Canvas
from vista3d.inference.windows import importance

WINDOW, SHAPE = (4, 4, 4), (12, 6, 3)


def test_overlapping_windows_are_averaged_with_weights():
    canvas = Canvas(WINDOW, SHAPE)
    canvas.add((0, 0, 0), np.full(WINDOW, 2.0, np.float32))
    canvas.add((2, 1, 0), np.full(WINDOW, 4.0, np.float32))
    weight = importance(WINDOW, "gaussian")
    assert canvas.box == (slice(0, 6), slice(0, 5), slice(0, 3))
    at = canvas.logits[3, 2, 1]
    a, b = weight[3, 2, 1], weight[1, 1, 1]
    np.testing.assert_allclose(at, (2 * a + 4 * b) / (a + b), rtol=1e-6)
    assert canvas.logits[0, 0, 0] == 2
    assert canvas.logits[5, 4, 2] == 4


def test_what_no_window_saw_is_unknown_and_never_nan():
    canvas = Canvas(WINDOW, SHAPE)
    canvas.add((0, 0, 0), np.zeros(WINDOW, np.float32))
    canvas.add((8, 2, 0), np.zeros(WINDOW, np.float32))
    assert not np.isnan(canvas.logits).any()
    assert (canvas.logits[~canvas.known] == -np.inf).all()
    assert not canvas.known[5].any()


def test_a_window_larger_than_the_volume_is_clipped():
    canvas = Canvas(WINDOW, (3, 6, 3))
    values = np.arange(64, dtype=np.float32).reshape(WINDOW)
    canvas.add((0, 1, -1), values)
    assert canvas.box == (slice(0, 3), slice(1, 5), slice(0, 3))
    np.testing.assert_allclose(canvas.logits, values[:3, :, 1:], rtol=1e-6)


def test_a_part_in_another_window():
    canvas = Canvas(WINDOW, SHAPE)
    canvas.add((2, 0, 0), np.ones(WINDOW, np.float32))
    seen = canvas.window(canvas.logits > 0, (4, 1, 0))
    assert seen[:2, :3, :3].all()
    assert seen.sum() == 18
    assert not canvas.window(canvas.logits > 0, (8, 0, 0)).any()
