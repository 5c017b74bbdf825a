"""Answers add up: means by hand, the same whatever is remembered."""

from dataclasses import replace

import numpy as np
import pytest

from tests.inference.interactive.test_pointing import Painter, meta, prompt, scan
from vista3d.inference.interactive import Mask
from vista3d.inference.interactive.belief import MASK_VOICES, Belief, Memory
from vista3d.inference.interactive.canvas import Canvas
from vista3d.inference.interactive.masks import union
from vista3d.inference.interactive.pointing import PointEngine

WINDOW = (8, 8, 8)


def canvas(start, value) -> Canvas:
    made = Canvas(WINDOW, (40, 40, 40))
    made.add(start, np.full(WINDOW, value, np.float32))
    return made


def test_the_mean_of_what_was_said_of_each_voxel():
    first, second = canvas((0, 0, 0), 3.0), canvas((4, 0, 0), -1.0)
    belief = Belief.nothing().grown(first.box, None, 0).after(first)
    belief = belief.grown(union(belief.box, second.box), None, 0).after(second)
    assert belief.logits.shape == (12, 8, 8)
    # On the outermost voxels of its window an answer is half a voice.
    line = [3] * 4 + [(3 - 0.5) / 1.5] + [1] * 2 + [(0.5 * 3 - 1) / 1.5] + [-1] * 4
    assert belief.logits[:, 4, 4] == pytest.approx(line)
    assert belief.voices[:, 4, 4].tolist() == [0.5, 1, 1, 1, 1.5, 2, 2, 1.5, 1, 1, 1, 0.5]
    assert belief.known.all()


def test_an_answer_that_ends_at_an_object_does_not_cut_it():
    """One window ends in an object and denies it there; a second one goes on beyond."""
    long = canvas((0, 0, 0), 2.0)
    denied = np.full(WINDOW, 2.0, np.float32)
    denied[-1] = -2.5
    short = Canvas(WINDOW, (40, 40, 40))
    short.add((0, 0, 0), denied)
    long.add((5, 0, 0), np.full(WINDOW, 2.0, np.float32))
    belief = Belief.nothing().grown(short.box, None, 0).after(short)
    belief = belief.grown(long.box, None, 0).after(long)
    assert (belief.logits[:, 4, 4] > 0).all()


def test_a_mask_counts_for_two_answers_also_where_windows_come_late():
    mask = np.zeros((12, 8, 8), bool)
    mask[:, 2:7, 2:7] = True
    first, second = canvas((0, 0, 0), -1.0), canvas((4, 0, 0), -1.0)
    belief = Belief.nothing().grown(first.box, mask[:8], MASK_VOICES).after(first)
    belief = belief.grown(union(belief.box, second.box), mask, MASK_VOICES).after(second)
    # 4 inside, 2 on the outermost voxels, -2 next to them, -4 outside.
    line = belief.logits[1, 4]
    levels, voices = (-4, -2, 2, 4, 4, 4, 2, -2), (0.5, 1, 1, 1, 1, 1, 1, 0.5)
    assert line == pytest.approx(
        [(2 * x - v) / (2 + v) for x, v in zip(levels, voices, strict=True)]
    )
    assert belief.logits[9, 4] == pytest.approx(line)
    assert belief.logits[5, 4, 4] == pytest.approx((2 * 4 - 2) / 4)


def engine(**options) -> PointEngine:
    painter = Painter()
    return PointEngine(replace(meta(), click_memory=True), painter, scan(), **options)


CLICKS = [((40, 30, 25), True), ((44, 30, 25), True), ((47, 31, 25), False), ((20, 30, 25), True)]


def test_the_same_answer_whatever_is_remembered():
    step_by_step, at_once = engine(), engine()
    for count in range(1, len(CLICKS) + 1):
        last = step_by_step.mask(prompt(*CLICKS[:count]))
    fresh = at_once.mask(prompt(*CLICKS))
    assert last.box == fresh.box
    assert np.array_equal(last.mask, fresh.mask)
    assert np.array_equal(last.known, fresh.known)


def test_a_click_on_a_new_object_is_answered_twice():
    """The second time the network is told where it found the object itself."""
    pointer = engine()
    answer = pointer.mask(prompt(*CLICKS[:2]))
    pointer.mask(prompt(*CLICKS[:3]))
    told = pointer._runtime.prompts
    assert [len(asked.points) for asked in told] == [1, 3, 2, 4, 3, 5]
    # Anchors first: voxels of the answer, in the window of the clicks (40, 30, 25 is its middle).
    mask = np.zeros((80, 60, 50), bool)
    mask[answer.box] = answer.mask
    start = np.array(CLICKS[0][0]) - told[0].points[0]
    for anchor in told[3].points[:2]:
        assert mask[tuple((anchor + start).astype(int))]
    assert (told[3].labels == 1).all()


def test_an_object_with_a_mask_is_answered_once():
    cube = np.zeros((80, 60, 50), bool)
    cube[35:46, 25:36, 20:31] = True
    pointer = engine()
    pointer.mask(prompt(*CLICKS[:2], base=Mask.of(cube)))
    before = len(pointer._runtime.prompts)
    pointer.mask(prompt(*CLICKS[:3], base=Mask.of(cube)))
    assert len(pointer._runtime.prompts) == before + 1


def test_clicks_that_the_base_knows_are_not_answered_again():
    cube = np.zeros((80, 60, 50), bool)
    cube[35:46, 25:36, 20:31] = True
    asked = replace(prompt(*CLICKS[:3], base=Mask.of(cube)), settled=2)
    pointer = engine()
    answer = pointer.mask(asked)
    assert len(pointer._runtime.prompts) == 1
    mask = np.zeros((80, 60, 50), bool)
    mask[answer.box] = answer.mask
    assert mask[40, 30, 25]
    assert not mask[47, 31, 25]


def test_every_click_is_right_in_the_mask():
    answer = engine().mask(prompt(*CLICKS))
    mask = np.zeros((80, 60, 50), bool)
    mask[answer.box] = answer.mask
    for position, positive in CLICKS:
        assert mask[position] == positive


def test_memory_is_bounded_and_keeps_the_newest():
    one = Belief.nothing().grown((slice(0, 8),) * 3, None, 0)
    memory = Memory(limit=2 * one.nbytes)
    for key in "abc":
        memory.put(key, one)
    assert memory.get("a") is None
    assert memory.get("b") is one
    small = Memory(limit=1)
    small.put("x", one)
    assert small.get("x") is one
