"""Objects that share voxels, painted by hand."""

from __future__ import annotations

import numpy as np

from tests.web.annotator import Annotator


def test_erasing_one_object_under_another(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    page.get_by_label("Overlap policy").select_option("allow_overlap")
    place = annotator.place(0.5, 0.6)
    aside = (place[0] + 30, place[1])
    for number in (1, 2):
        page.get_by_role("button", name="New object").click()
        page.locator(f".object.active[data-object='{number}']").wait_for()
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
