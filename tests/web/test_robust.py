"""Impatient people, refusals, and a server that goes away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.web.annotator import Annotator
from tests.web.conftest import Server
from tests.web.waiting import wait_until

COUNT_WAITING = """() => {
    window.mostWaiting = 0;
    new MutationObserver(() => {
        const now = document.querySelectorAll(".mark.waiting").length;
        window.mostWaiting = Math.max(window.mostWaiting, now);
    }).observe(document.querySelector(".marks"), {
        subtree: true, childList: true, attributes: true,
    });
}"""


def test_clicks_keep_their_order_and_the_page_does_not_wait(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    annotator.key("p")
    places = [annotator.place(0.5, down) for down in (0.6, 0.63, 0.66)]
    page.evaluate(COUNT_WAITING)
    for place in places:
        page.mouse.click(*place)
    page.keyboard.press("v")  # the page answers while the server computes
    wait_until(lambda: not page.get_by_role("checkbox", name="Show labels").is_checked())
    annotator.settled()
    clicks = annotator.state["objects"][0]["clicks"]
    assert len(clicks) == 3
    heights = [click["position_ras"][1] for click in clicks]
    assert heights == sorted(heights, reverse=True)  # down the picture is towards the back
    # "Saved" may be painted a frame before the marks are.
    wait_until(lambda: page.locator(".mark.waiting").count() == 0)
    assert page.evaluate("mostWaiting") >= 1  # shown where it was made, before the answer

    # One of them is taken back from the list.
    page.get_by_role("button", name="Take back click 2").click()
    wait_until(lambda: len(annotator.state["objects"][0]["clicks"]) == 2)
    annotator.settled()
    assert [c["position_ras"][1] for c in annotator.state["objects"][0]["clicks"]] == [
        heights[0], heights[2],
    ]  # fmt: skip


def test_what_cannot_be_done_is_said(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck", layout="3D")
    posts: list[Any] = []
    page.on("request", lambda r: posts.append(r) if r.url.endswith("/clicks") else None)
    annotator.key("p")
    page.mouse.click(*annotator.place(0.5, 0.5))
    page.get_by_text("Click in a slice").wait_for()

    annotator.look("Axial")
    page.mouse.click(*annotator.place(0.5, 0.6), button="right")
    page.get_by_text("There is nothing to take away yet").wait_for()

    page.get_by_role("button", name="New object").click()
    page.get_by_role("button", name="Lock object 1").click()
    annotator.settled()
    page.mouse.click(*annotator.place(0.5, 0.6))
    page.get_by_text("object 1 is locked").wait_for()
    assert not posts

    page.evaluate("location.hash = '#session=nowhere'")
    page.locator(".notice.error").wait_for()
    assert len(page.locator(".notice.error").inner_text()) > 20


@pytest.mark.slow
def test_a_killed_server_loses_nothing_and_the_page_goes_on(
    annotator: Annotator, server: Server
) -> None:
    page = annotator.page
    annotator.open("head_neck")
    x, y = annotator.place(0.5, 0.62)
    annotator.click(x, y)
    before = annotator.labels
    session = annotator.session
    server.kill()
    annotator.key("p")
    page.mouse.click(x + 3, y + 3)
    page.get_by_text("The server is not reachable").wait_for()
    server.start()
    annotator.settled()
    objects = annotator.state["objects"]
    assert len(objects[0]["clicks"]) == 2
    annotator.key("Control+z")
    annotator.settled()
    assert annotator.session == session
    assert np.array_equal(annotator.labels, before)
    wait_until(lambda: page.locator(".notice.offline").count() == 0)
