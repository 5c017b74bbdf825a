import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vista3d.inference.merge import _touched, refine, refine_official

SHAPE = (9, 8, 7)
voxels = st.lists(st.tuples(*(st.integers(0, n - 1) for n in SHAPE)), max_size=4)


@st.composite
def masks(draw):
    """Blobs: a few boxes, so that components are larger than single voxels."""
    mask = np.zeros(SHAPE, bool)
    for _ in range(draw(st.integers(0, 4))):
        box = []
        for n in SHAPE:
            low = draw(st.integers(0, n - 1))
            box.append(slice(low, draw(st.integers(low + 1, n))))
        mask[tuple(box)] ^= True
    return mask


@given(masks(), masks(), voxels, voxels)
def test_nothing_changes_outside_touched_components(auto, points, positive, negative):
    out = refine(auto, points, positive, negative)
    touched = _touched(points, positive) | _touched(auto & ~points, negative)
    assert (out[~touched] == auto[~touched]).all()


@given(masks(), masks(), voxels)
def test_a_positive_click_in_the_clicked_mask_is_in_the_result(auto, points, positive):
    out = refine(auto, points, positive, [])
    for voxel in positive:
        assert out[voxel] == (auto[voxel] or points[voxel])


@given(masks(), masks(), voxels)
def test_a_negative_click_on_what_the_clicked_mask_leaves_out_is_not(auto, points, negative):
    out = refine(auto, points, [], negative)
    for voxel in negative:
        assert out[voxel] == (auto[voxel] and points[voxel])


@given(masks(), masks(), voxels, voxels, st.randoms())
def test_the_order_of_clicks_does_not_matter(auto, points, positive, negative, random):
    out = refine(auto, points, positive, negative)
    random.shuffle(positive)
    random.shuffle(negative)
    assert (refine(auto, points, positive, negative) == out).all()


@given(masks(), masks(), voxels, voxels)
@settings(max_examples=300)
def test_merging_twice_changes_nothing(auto, points, positive, negative):
    once = refine(auto, points, positive, negative)
    twice = refine(once, points, positive, negative)
    lobes = _touched(points, positive) & ~once
    assume(not lobes.any())  # see the next test
    assert (twice == once).all()


@given(masks(), masks(), voxels, voxels)
def test_merging_three_times_is_merging_twice(auto, points, positive, negative):
    twice = refine(refine(auto, points, positive, negative), points, positive, negative)
    assert (refine(twice, points, positive, negative) == twice).all()


def test_the_printed_algorithm_adds_a_second_lobe_when_its_result_is_refined_again():
    auto = _plane("...##...")
    points = _plane(".######.")
    once = refine(auto, points, [(0, 1, 0)], [])
    assert (once == _plane(".####...")).all()
    # Now the click lies in the mask, and Alg. 1 takes all that is connected to it.
    assert (refine(once, points, [(0, 1, 0)], []) == points).all()


@given(masks(), masks(), masks(), voxels, voxels)
def test_what_is_not_known_never_changes(auto, points, known, positive, negative):
    out = refine(auto, points, positive, negative, known)
    assert (out[~known] == auto[~known]).all()


@given(masks(), masks(), voxels, voxels)
def test_inputs_are_not_written(auto, points, positive, negative):
    before = auto.copy(), points.copy()
    refine(auto, points, positive, negative)
    assert (auto == before[0]).all()
    assert (points == before[1]).all()


def _plane(text: str) -> np.ndarray:
    rows = [line.strip() for line in text.strip().splitlines()]
    return np.array([[[c == "#"] for c in row] for row in rows])


AUTO = _plane("""
    ..##....
    ..##..##
    ..##....
""")
POINTS = _plane("""
    ####....
    ####....
    .....###
""")


def test_an_addition_by_eye():
    out = refine(AUTO, POINTS, [(2, 6, 0)], [])
    assert (out == _plane("""
        ..##....
        ..##..##
        ..##.###
    """)).all()  # fmt: skip


def test_a_click_in_the_auto_mask_adds_the_whole_component():
    # The added part left of the organ holds no click itself: the organ does.
    out = refine(AUTO, POINTS, [(0, 2, 0)], [])
    assert (out == _plane("""
        ####....
        ####..##
        ..##....
    """)).all()  # fmt: skip


def test_a_removal_by_eye():
    out = refine(AUTO, POINTS, [], [(1, 6, 0)])
    assert (out == _plane("""
        ..##....
        ..##....
        ..##....
    """)).all()  # fmt: skip


def test_without_clicks_nothing_changes():
    assert (refine(AUTO, POINTS, [], []) == AUTO).all()


def test_diagonal_voxels_are_connected():
    points = np.zeros((3, 3, 3), bool)
    points[0, 0, 0] = points[1, 1, 1] = True
    assert refine(np.zeros_like(points), points, [(0, 0, 0)], [])[1, 1, 1]


def _logits(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 5.0, -5.0)


def test_the_released_code_adds_everything_for_any_click_in_the_mask():
    # A negative click inside the organ lets a far positive click take what it already had.
    out = refine_official(_logits(AUTO), _logits(POINTS), [(0, 0, 0)], [(0, 2, 0)])
    assert (out[:2, :4, 0] > 0).all()
    assert (refine(AUTO, POINTS, [(0, 0, 0)], [(0, 2, 0)])[:2, :4] == POINTS[:2, :4]).all()


def test_the_released_code_looks_two_voxels_around_a_click():
    points = np.zeros((9, 3, 3), bool)
    points[5] = True
    nothing = np.zeros_like(points)
    assert (refine_official(_logits(nothing), _logits(points), [(3, 1, 1)], []) > 0)[5].all()
    assert not (refine_official(_logits(nothing), _logits(points), [(2, 1, 1)], []) > 0).any()
    assert not refine(nothing, points, [(3, 1, 1)], []).any()


def test_unseen_voxels_are_filled_and_nothing_stays_nan():
    base = _logits(AUTO)
    base[0] = np.nan
    out = refine_official(base, _logits(POINTS), [(2, 6, 0)], [])
    assert not np.isnan(out).any()
    assert (out[0] < 0).all()  # positive there, but no click asked for it


@pytest.mark.parametrize("voxel", [(-1, 0, 0), (9, 9, 9)])
def test_clicks_outside_the_array_count_for_nothing(voxel):
    assert (refine(AUTO, POINTS, [voxel], [voxel]) == AUTO).all()
