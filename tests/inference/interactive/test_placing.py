import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vista3d.inference.interactive.placing import (
    centred,
    holds,
    lattice,
    place,
    sees,
    surrounding,
    touched_faces,
)

WINDOW = (32, 32, 32)

sizes = st.tuples(*[st.integers(5, 90)] * 3)


@st.composite
def clicks(draw):
    shape = draw(sizes)
    count = draw(st.integers(1, 6))
    return shape, [
        tuple(draw(st.floats(0, n - 1, allow_nan=False)) for n in shape) for _ in range(count)
    ]


@given(clicks())
def test_every_click_lies_in_a_window(drawn):
    shape, positions = drawn
    for step in (1, lattice(WINDOW), 8):
        starts = place(positions, WINDOW, shape, step=step)
        for position in positions:
            assert any(holds(start, WINDOW, position) for start in starts)


@given(clicks(), st.sampled_from([(32, 32, 32), (64, 64, 64), (64, 48, 32)]))
def test_the_context_holds_the_window_and_stays_inside_where_it_can(drawn, context):
    shape, positions = drawn
    for start in place(positions, WINDOW, shape):
        outer, inner = surrounding(start, WINDOW, context, shape)
        for s, w, o, c, n, part in zip(start, WINDOW, outer, context, shape, inner, strict=True):
            assert part.start >= 0
            assert part.stop <= c
            assert part.stop - part.start == w
            assert o + part.start == s
            assert (0 <= o <= n - c) if n >= c else (o <= 0 and o + c >= n)
    # Without more context, the window is all there is.
    assert surrounding(start, WINDOW, WINDOW, shape) == (start, tuple([slice(0, 32)] * 3))


@given(clicks())
def test_windows_stay_inside_or_are_centred_on_a_small_volume(drawn):
    shape, positions = drawn
    for start in place(positions, WINDOW, shape):
        for s, w, n in zip(start, WINDOW, shape, strict=True):
            assert (0 <= s <= n - w) if n > w else s == -((w - n) // 2)


@given(clicks())
def test_every_click_is_seen_by_a_window(drawn):
    shape, positions = drawn
    starts = place(positions, WINDOW, shape)
    for position in positions:
        assert any(sees(start, WINDOW, shape, position) for start in starts)


def test_a_close_click_needs_no_window_of_its_own():
    first = (50.0, 50.0, 50.0)
    assert len(place([first, (58.0, 50.0, 42.0)], WINDOW, (100,) * 3)) == 1
    assert len(place([first, (80.0, 50.0, 50.0)], WINDOW, (100,) * 3)) == 2


def test_a_margin_of_a_half_gives_every_click_its_own_window():
    starts = place([(50.0, 50.0, 50.0), (51.0, 50.0, 50.0)], WINDOW, (100,) * 3, margin=0.5, step=1)
    assert starts == [(34, 34, 34), (35, 34, 34)]


@pytest.mark.parametrize("corner", [(0, 0, 0), (99, 99, 99), (0, 99, 0)])
def test_the_border_voxel_is_in_its_window(corner):
    (start,) = place([corner], WINDOW, (100,) * 3)
    assert holds(start, WINDOW, corner)
    assert sees(start, WINDOW, (100,) * 3, corner)


def test_the_window_is_centred_as_released():
    assert centred((50.7, 3, 97), WINDOW, (100, 100, 100)) == (34, 0, 68)


def test_cut_faces_are_found_and_the_border_of_the_volume_cuts_nothing():
    mask = np.zeros(WINDOW, bool)
    mask[:5, 10:20, 10:20] = True
    mask[10:14, 28:, 10:14] = True
    assert touched_faces(mask, (0, 40, 40), WINDOW, (100,) * 3) == [(11.5, 71.0, 51.5)]
    found = touched_faces(mask, (5, 40, 40), WINDOW, (100,) * 3)
    assert found == [(5.0, 54.5, 54.5), (16.5, 71.0, 51.5)]
