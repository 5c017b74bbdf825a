"""One piece of a structure that hangs together is kept: the surest."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vista3d.inference.pieces import keep_surest
from vista3d.volume import components

JAW, LIVER = 346, 1


def test_the_surest_piece_stays_and_not_the_largest():
    labels = np.zeros((30, 30, 30), np.uint16, order="F")
    evidence = np.zeros(labels.shape, np.float16, order="F")
    jaw, forehead, bit = np.s_[2:8, 2:8, 2:8], np.s_[12:22, 12:22, 12:22], np.s_[25:27, 2:4, 2:4]
    labels[jaw], labels[forehead], labels[bit] = JAW, JAW, JAW
    evidence[jaw], evidence[forehead], evidence[bit] = 4, 2, 9
    labels[24:28, 24:28, 2:5] = LIVER
    assert keep_surest(labels, evidence, (JAW,)) == 2
    assert (labels[jaw] == JAW).all()
    assert (labels == JAW).sum() == 6**3
    assert (labels == LIVER).sum() == 48


def test_what_was_not_found_is_no_error():
    labels = np.zeros((4, 4, 4), np.uint8)
    assert keep_surest(labels, np.zeros(labels.shape, np.float16), (JAW,)) == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_one_whole_piece_is_left_of_each_class_and_nothing_else_changes(seed: int):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 3], size=(7, 6, 5), p=[0.7, 0.1, 0.1, 0.1]).astype(np.uint8)
    evidence = rng.random(labels.shape).astype(np.float16)
    before = labels.copy()
    keep_surest(labels, evidence, (1, 2))
    assert np.array_equal(labels == 3, before == 3)
    for class_id in (1, 2):
        old, new = components(before == class_id), labels == class_id
        assert len(np.unique(old[new])) == min(1, old.max())
        for number in np.unique(old[new]):
            assert np.array_equal(new, old == number)
