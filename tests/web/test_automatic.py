"""An automatic run that takes its time: found again after a reload, and cancelled."""

from __future__ import annotations

import numpy as np

from tests.web.annotator import Annotator
from tests.web.waiting import wait_until


def test_a_run_is_found_again_after_a_reload_and_cancelled(annotator: Annotator) -> None:
    page, api = annotator.page, annotator.api
    annotator.open("large")
    annotator.new_object()
    annotator.stroke("b", annotator.place(0.5, 0.5))
    before = annotator.labels
    page.get_by_role("button", name="Everything", exact=True).click()
    progress = page.get_by_label("Progress of the automatic segmentation")
    wait_until(lambda: progress.get_attribute("value") not in (None, "0"))
    path = f"/sessions/{annotator.session}/jobs"
    (job,) = api.json(path)
    assert job["state"] == "running"

    page.reload()
    progress.wait_for()
    annotator.ready("Axial")
    annotator.key("e")  # asked for meanwhile: it waits for the run
    page.get_by_text("Segmenting, 1 waiting").wait_for()
    assert [j["id"] for j in api.json(path)] == [job["id"]]
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled. Nothing was changed.").wait_for()
    wait_until(lambda: len(annotator.state["objects"]) == 2)
    annotator.settled()
    assert [j["state"] for j in api.json(path)] == ["cancelled"]
    assert np.array_equal(annotator.labels, before)
    progress.wait_for(state="detached")


def test_a_result_that_came_while_the_page_was_away(annotator: Annotator) -> None:
    """The run ends between the page's first look at the session and its question for runs."""
    page = annotator.page
    annotator.open("head_neck")
    old = annotator.state
    annotator.new_object()
    annotator.stroke("b", annotator.place(0.5, 0.5))
    first_look = f"**/sessions/{annotator.session}"
    page.route(first_look, lambda route: route.fulfill(json=old), times=1)
    page.reload()
    annotator.ready("Axial")
    wait_until(lambda: page.locator(".object").count() == 1)
    annotator.go(*annotator.place(0.5, 0.5))
    wait_until(lambda: page.locator(".under").inner_text() == "object 1")
