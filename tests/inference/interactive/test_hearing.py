"""Clicks are right where they fall, and nothing changes far from them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vista3d.inference.interactive.hearing import MARGIN, WIDE, Place, heard

SHAPE = (20, 18, 16)
SPACING = (3.0, 3.0, 3.0)

places = st.builds(
    Place,
    st.tuples(*(st.integers(0, n - 1).map(float) for n in SHAPE)),
    st.booleans(),
)


def field(seed: int) -> np.ndarray:
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(0, 1, SHAPE)
    return (12 * ndimage.gaussian_filter(noise, 2)).astype(np.float32)


def at(logits: np.ndarray, place: Place) -> float:
    return float(logits[tuple(map(int, place.position))])


def apart(clicks: list[Place]) -> bool:
    points = np.array([click.position for click in clicks])
    gaps = np.abs(points[:, None] - points[None]).max(-1)
    return bool((gaps[~np.eye(len(clicks), dtype=bool)] >= 4).all())


@settings(max_examples=60, deadline=None)
@given(st.lists(places, min_size=1, max_size=5).filter(apart), st.integers(0, 99))
def test_every_click_lies_on_its_side(clicks, seed):
    scan = np.zeros(SHAPE, np.float32)
    after = heard(field(seed), scan, clicks, SPACING)
    for click in clicks:
        assert (at(after, click) > 0) == click.positive


@settings(max_examples=30, deadline=None)
@given(st.lists(places, max_size=5), st.integers(0, 99), st.randoms())
def test_the_order_of_clicks_does_not_matter(clicks, seed, random):
    scan = field(seed + 1)
    shuffled = random.sample(clicks, len(clicks))
    one, other = (heard(field(seed), scan, some, SPACING) for some in (clicks, shuffled))
    assert np.array_equal(one, other)


def test_nothing_changes_where_clicks_are_right_nor_far_from_a_wrong_one():
    logits = np.full((90, 40, 40), -3, np.float32)
    logits[:10] = 4
    scan = np.zeros_like(logits)
    right = [Place((5.0, 20.0, 20.0), True), Place((30.0, 20.0, 20.0), False)]
    assert heard(logits, scan, right, SPACING) is logits
    after = heard(logits, scan, [*right, Place((12.0, 20.0, 20.0), True)], SPACING)
    assert after[12, 20, 20] > 0
    assert logits[12, 20, 20] == -3, "the input is left alone"
    far = 12 + round(3 * WIDE / 3) + 2
    assert np.array_equal(after[far:], logits[far:])


def test_a_click_moves_a_whole_wrong_region_and_stops_at_another_density():
    logits = np.full((40, 40, 40), -3, np.float32)
    scan = np.full_like(logits, 0.5)
    scan[20:] = 0.0  # air
    after = heard(logits, scan, [Place((16.0, 20.0, 20.0), True)], SPACING)
    assert after[16, 20, 20] >= MARGIN - 0.01
    assert after[13, 20, 20] > 0
    assert (after[20:] <= 0).all()


def test_a_click_beyond_the_array_counts_for_nothing():
    logits = field(0)
    assert heard(logits, logits, [Place((25.0, 3.0, 3.0), True)], SPACING) is logits


def test_border_voxels_and_fractions():
    logits = np.full(SHAPE, -1, np.float32)
    for position in ((0.0, 0.0, 0.0), (19.4, 17.4, 15.4), (-0.5, 8.3, 7.7)):
        after = heard(logits, np.zeros_like(logits), [Place(position, True)], SPACING)
        index = tuple(
            int(np.clip(round(x), 0, n - 1)) for x, n in zip(position, SHAPE, strict=True)
        )
        assert after[index] > 0
