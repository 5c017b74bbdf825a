"""Progress: the time left, and plain lines where there is no terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from vista3d.cli import progress as progress_module
from vista3d.cli.cases import Case
from vista3d.cli.progress import Clock, duration, listen
from vista3d.cli.settings import CaseResult
from vista3d.errors import InputError


@pytest.fixture
def now(monkeypatch):
    """A clock that the test moves."""
    times = [1000.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: times[0])
    return times


def result(state: str, seconds: float = 10, error: Exception | None = None) -> CaseResult:
    return CaseResult(Case("a", "a.nii"), state, seconds, {}, error=error)


def test_time_left_follows_the_pace_since_the_first_fraction(now):
    clock = Clock(1)
    clock.begin()
    assert clock.left(None) is None
    now[0] += 30  # loading the model teaches nothing about the windows
    assert clock.left(0.0) is None
    now[0] += 10
    assert clock.left(0.25) == pytest.approx(30)


def test_time_left_counts_the_cases_to_come(now):
    clock = Clock(3)
    clock.begin()
    now[0] += 20
    clock.end(result("finished", 20))
    clock.begin()
    assert clock.left(None) == pytest.approx(40)
    now[0] += 5
    assert clock.left(None) == pytest.approx(35)


def test_skipped_cases_do_not_make_it_hopeful(now):
    clock = Clock(3)
    clock.begin()
    clock.end(result("skipped", 0.1))
    clock.begin()
    assert clock.left(None) is None


def test_a_log_gets_a_line_per_step_not_per_window(now):
    text = io.StringIO()
    with listen(Console(file=text), 2) as listener:
        listener.begin("a")
        listener.step("reading")
        for window in range(100):
            now[0] += 0.2
            listener.step("windows", window / 100)
        listener.end(result("failed", error=InputError("a.nii is cut off")))
    lines = text.getvalue().splitlines()
    assert lines[0] == "[1/2] a: reading"
    assert lines[-1] == "a: failed: a.nii is cut off"
    # 20 seconds of windows, a line every 5.
    assert len(lines) == 2 + 4
    assert lines[2].startswith("[1/2] a: windows 25%")
    assert lines[2].endswith("left")


def test_a_terminal_gets_a_bar(now):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with listen(console, 1) as listener:
        listener.begin("a")
        listener.step("windows", 0.5)
        listener.end(result("finished"))
    assert "a: 0 structures in 10 s" in text.getvalue()


def test_quiet_says_nothing_but_warnings():
    text = io.StringIO()
    with listen(Console(file=text), 2, quiet=True) as listener:
        listener.begin("a")
        listener.step("reading")
        listener.end(result("finished"))
        assert text.getvalue() == ""
        listener.end(replace(result("finished"), report={"warnings": ["looks like MR"]}))
    assert text.getvalue() == "a: warning: looks like MR\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (3780, "1 h 03 min")],
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text
