"""Controls: what they are called, keys, appearance, and the list of objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.web.annotator import Annotator
from tests.web.waiting import wait_until

ROLES = {"button", "checkbox", "combobox", "searchbox", "slider", "spinbutton", "textbox", "link"}
ROLES |= {"ColorWell"}  # Chromium's name for a colour field


def test_every_control_has_a_name_and_shows_its_focus(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    page.get_by_role("button", name="New object").click()
    page.locator(".object.active").wait_for()
    for tool in ("p", "b"):
        annotator.key(tool)
        controls = _controls(page)
        assert len(controls) > 30
        assert not [c for c in controls if not c["name"].strip()]
    page.get_by_label("Search objects").focus()
    page.keyboard.press("Tab")
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style != "none"


def test_work_without_a_mouse(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    page.locator("canvas").focus()
    start = annotator.crosshair()[0]
    annotator.key("ArrowUp")
    annotator.drawn()
    above = annotator.crosshair()[0]
    assert above[2] > start[2]
    for key, chosen in (("2", "Lung"), ("1", "Soft tissue")):
        annotator.key(key)
        assert page.get_by_label("CT window preset").input_value() == chosen
    annotator.key("p")
    annotator.key("Enter")
    annotator.settled()
    (thing,) = annotator.state["objects"]
    assert thing["voxels"] > 0
    annotator.key("e")
    wait_until(lambda: len(annotator.state["objects"]) == 2)
    annotator.settled()
    annotator.key("Delete")
    wait_until(lambda: len(annotator.state["objects"]) == 1)
    annotator.settled()
    annotator.key("?")
    page.get_by_role("dialog", name="Help").wait_for()
    annotator.key("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def test_the_list_of_objects(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    for _ in range(2):
        page.get_by_role("button", name="New object").click()
    page.locator(".object").nth(1).wait_for()
    annotator.settled()
    page.get_by_role("button", name="Rename object 2").click()
    page.get_by_label("Name of the object").fill("<b>node</b>")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="<b>node</b>", exact=True).wait_for()  # text, never markup
    page.get_by_role("button", name="Rename <b>node</b>").click()
    page.get_by_label("Name of the object").fill("not meant")
    page.keyboard.press("Escape")
    page.get_by_label("Name of the object").wait_for(state="detached")
    annotator.settled()
    assert [o["name"] for o in annotator.state["objects"]] == ["object 1", "<b>node</b>"]
    page.get_by_role("button", name="object 1", exact=True).click()
    wait_until(lambda: annotator.state["active"] == annotator.state["objects"][0]["id"])
    page.get_by_label("Overlap policy").select_option("keep_existing")
    wait_until(lambda: annotator.state["overlap"] == "keep_existing")
    page.get_by_label("Search objects").fill("node")
    wait_until(lambda: page.locator(".object").count() == 1)

    page.get_by_role("button", name="Light appearance").click()
    wait_until(lambda: page.evaluate("document.documentElement.dataset.theme") == "light")
    page.reload()
    annotator.ready("Axial")
    wait_until(lambda: page.evaluate("document.documentElement.dataset.theme") == "light")
    assert "not a medical device" in page.locator("footer").inner_text()


def test_colours_are_chosen(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    annotator.new_object()
    x, y = annotator.place(0.5, 0.5)
    annotator.key("b")
    page.get_by_label("Brush radius in millimetres").fill("20")
    annotator.stroke("b", (x, y))
    annotator.key("n")
    page.get_by_role("checkbox", name="Outline").uncheck()
    page.get_by_label("Opacity of labels in percent").fill("100")
    field = page.get_by_label("Colour of object 1")
    first = field.input_value()
    for chosen in ("#ff0000", "#0000ff"):
        field.fill(chosen)
        colour = [int(chosen[at : at + 2], 16) for at in (1, 3, 5)]
        wait_until(lambda colour=colour: annotator.state["objects"][0]["color"] == colour)
        wait_until(
            lambda colour=colour: np.abs(annotator.pixels(x + 12, y + 12) - colour).max() < 12
        )
    annotator.key("b")  # a colour field is no text field: keys still work
    page.locator(".tool[aria-pressed=true]", has_text="Brush").wait_for()
    annotator.settled()
    page.reload()
    annotator.ready("Axial")
    wait_until(lambda: field.input_value() == "#0000ff")
    for before in ("#ff0000", first):
        page.get_by_role("button", name="Undo").click()
        wait_until(lambda before=before: field.input_value() == before)


def test_one_scan_after_another_and_back(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    annotator.click(*annotator.place(0.5, 0.62))
    first, voxels = annotator.session, annotator.state["objects"][0]["voxels"]
    page.get_by_role("button", name="vista3d annotator").click()
    page.get_by_label("On this server").get_by_role("button", name="turned").click()
    annotator.ready("Axial")
    assert page.locator(".study-name").inner_text().startswith("turned")
    wait_until(lambda: page.locator(".object").count() == 0)
    page.get_by_role("button", name="New object").click()
    page.locator(".object.active").wait_for()
    annotator.stroke("b", annotator.place(0.5, 0.5))
    assert annotator.labels.sum() > 0

    page.go_back()
    page.go_back()
    page.locator(".study-name", has_text="head_neck").wait_for()
    annotator.ready("Axial")
    assert annotator.session == first
    annotator.go(*annotator.place(0.5, 0.62))
    wait_until(lambda: page.locator(".under").inner_text() == "object 1")
    assert annotator.state["objects"][0]["voxels"] == voxels


def test_back_while_a_scan_loads(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    annotator.new_object()
    session = annotator.session
    page.goto("/")
    page.get_by_label("On this server").wait_for()
    held: list[Any] = []
    page.route("**/image", lambda route: held.append(route))
    with page.expect_request("**/image"):
        page.evaluate(f"location.hash = '#session={session}'")
    page.go_back()
    page.wait_for_timeout(300)
    for route in held:
        route.continue_()
    page.wait_for_timeout(1500)
    assert page.locator("main.start").is_visible()
    assert page.locator(".loading, .study-name").count() == 0
    page.unroute("**/image")
    page.go_forward()
    annotator.ready("Axial")
    assert annotator.session == session
    page.locator(".object").wait_for()


def _controls(page: Any) -> list[dict[str, str]]:
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return [
        {"role": node["role"]["value"], "name": node.get("name", {}).get("value", "")}
        for node in tree
        if not node["ignored"] and node.get("role", {}).get("value") in ROLES
    ]
