"""Objects that share voxels, painted by hand."""

from __future__ import annotations

import numpy as np

from tests.web.annotator import Annotator
from tests.web.waiting import wait_until


def test_erasing_one_object_under_another(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    page.get_by_label("Overlap policy").select_option("allow_overlap")
    place = annotator.place(0.5, 0.6)
    aside = (place[0] + 30, place[1])
    for _ in range(2):
        annotator.new_object()
        annotator.stroke("b", place, aside)
    both = annotator.api.mask(annotator.session, 1)
    assert both.sum() > 10
    assert np.array_equal(annotator.api.mask(annotator.session, 2), both)
    assert set(np.unique(annotator.labels)) == {0, 2}  # the first is hidden below the second

    page.get_by_role("button", name="object 1", exact=True).click()
    page.locator(".object.active[data-object='1']").wait_for()
    annotator.stroke("x", aside)
    less = annotator.api.mask(annotator.session, 1)
    assert 0 < less.sum() < both.sum()
    assert not (less & ~both).any()
    assert np.array_equal(annotator.api.mask(annotator.session, 2), both)

    # What is hidden in the box of a stroke stays, though the next edit wins.
    page.get_by_label("Overlap policy").select_option("overwrite")
    wait_until(lambda: annotator.state["overlap"] == "overwrite")
    annotator.stroke("b", (place[0], place[1] - 40), (aside[0], aside[1] + 40))
    more = annotator.api.mask(annotator.session, 1)
    assert more.sum() > less.sum()
    assert (more >= less).all()


def test_brush_and_eraser_where_objects_meet(annotator: Annotator) -> None:
    """The stroke begins inside another object: it takes those voxels, or leaves them."""
    page = annotator.page
    annotator.open("head_neck")
    x, y = annotator.place(0.5, 0.6)
    inside, outside = (x + 30, y), (x + 90, y)
    first = annotator.new_object()
    annotator.stroke("b", (x, y), inside)
    whole = annotator.api.mask(annotator.session, first)
    for policy in ("overwrite", "keep_existing"):
        page.get_by_label("Overlap policy").select_option(policy)
        wait_until(lambda policy=policy: annotator.state["overlap"] == policy)
        second = annotator.new_object()
        annotator.stroke("b", inside, outside)
        one, two = (annotator.api.mask(annotator.session, n) for n in (first, second))
        assert two.any()
        assert not (one & two).any()
        assert not (one & ~whole).any()
        lost = whole & ~one
        assert lost.any() == (policy == "overwrite")
        assert np.array_equal(whole & two, lost)  # what one loses, the other has

        annotator.stroke("x", inside, outside)
        left, gone = (annotator.api.mask(annotator.session, n) for n in (first, second))
        assert np.array_equal(left, one)  # the eraser takes from its own object only
        assert not gone.any()
        for _ in range(3):
            annotator.key("Control+z")
            annotator.settled()
        assert np.array_equal(annotator.api.mask(annotator.session, first), whole)


def test_a_locked_object_keeps_its_voxels(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    x, y = annotator.place(0.5, 0.6)
    first = annotator.new_object()
    annotator.stroke("b", (x, y))
    whole = annotator.api.mask(annotator.session, first)
    page.get_by_role("button", name="Lock object 1").click()
    wait_until(lambda: annotator.state["objects"][0]["locked"])
    second = annotator.new_object()
    annotator.stroke("b", (x, y), (x + 60, y))
    one, two = (annotator.api.mask(annotator.session, n) for n in (first, second))
    assert np.array_equal(one, whole)
    assert two.any()
    assert not (one & two).any()
