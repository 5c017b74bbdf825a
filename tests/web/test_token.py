"""A server with a token: it is asked for once, and leaves no trace in the address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.conftest import Server

TOKEN = "correct-horse-battery"


@pytest.fixture
def guarded(scans: Path, tmp_path: Path) -> Iterator[Server]:
    running = Server(scans, tmp_path, "--token", TOKEN)
    yield running
    running.kill()


def test_the_token_is_asked_for_and_kept(page: Any, guarded: Server) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=f"{guarded.address}/api/v1", headers=bearer, timeout=60) as api:
        study = next(s for s in api.get("/studies").json() if s["name"] == "head_neck")
        session = api.post("/sessions", json={"study": study["id"]}).json()["id"]
    page.goto(f"{guarded.address}/#session={session}")
    page.get_by_label("Token").fill("wrong-horse-battery")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    page.locator(".study-name", has_text="head_neck").wait_for()
    page.locator(".loading").wait_for(state="detached")
    assert page.url == f"{guarded.address}/#session={session}"
    assert page.evaluate("document.cookie") == ""  # no script can read it
    page.reload()
    page.locator(".study-name", has_text="head_neck").wait_for()

    page.context.clear_cookies()
    page.get_by_role("button", name="New object").click()
    page.get_by_text("reload the page to enter it").wait_for()
