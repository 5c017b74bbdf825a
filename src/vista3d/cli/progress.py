"""What happens, on standard error: a bar with the time left on a terminal, lines in a log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vista3d.cli.settings import CaseResult, Listener
from vista3d.wording import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

LINE_SECONDS = 5.0
"""A log gets a line when the step changes, and at most one in this time within a step."""
SETTLED = 0.08
"""Part of a case after which its pace is trusted: some windows, beyond the quick preparation."""


@contextlib.contextmanager
def listen(console: Console, total: int, *, quiet: bool = False) -> Iterator[Listener]:
    """The listener that suits the console: bar on a terminal, lines elsewhere, or nothing."""
    if quiet:
        yield Silent(console)
    elif console.is_terminal:
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            TextColumn("{task.fields[case]}", style="bold"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", style="dim"),
        )
        with Progress(*columns, console=console) as progress:
            yield Bar(progress, total)
    else:
        yield Lines(console, total)


class Clock:
    """Time left of a case and of the cases after it."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begun = self._done = 0
        self._spent = 0.0
        self._start = time.monotonic()
        self._first: tuple[float, float] | None = None

    @property
    def number(self) -> int:
        """The running number of the current case, from 1."""
        return self._begun

    def begin(self) -> None:
        """A case starts."""
        self._begun += 1
        self._start = time.monotonic()
        self._first = None

    def end(self, result: CaseResult) -> None:
        """A case ended; only cases that were really segmented teach how long one takes."""
        if result.state == "finished":
            self._done += 1
            self._spent += result.seconds

    def left(self, fraction: float | None) -> float | None:
        """Seconds left for this case and all that follow; None before anything is known."""
        now = time.monotonic()
        case: float | None = None
        if fraction is not None:
            # The pace is measured from the first fraction heard, not from the loading before it.
            if self._first is None:
                self._first = (now, fraction)
            since, at = self._first
            if fraction - at >= SETTLED:
                case = (now - since) * (1 - fraction) / (fraction - at)
        waiting = self._total - self._begun
        if not self._done:
            if case is None or not waiting:
                return case
            whole = now - self._start + case
            return case + waiting * whole
        mean = self._spent / self._done
        rest = max(0.0, mean - (now - self._start)) if case is None else case
        return rest + waiting * mean


class Bar:
    """One moving bar for the current case; a finished case leaves a line."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._clock = Clock(total)
        self._task: TaskID | None = None

    def begin(self, case: str) -> None:
        """Start the bar of a case."""
        self._clock.begin()
        name = case if self._total == 1 else f"[{self._clock.number}/{self._total}] {case}"
        self._task = self._progress.add_task("reading", total=1.0, case=name, left="")

    def step(self, what: str, fraction: float | None = None) -> None:
        """Move the bar."""
        if self._task is None:
            return
        left = self._clock.left(fraction)
        text = "" if left is None else f"{duration(left)} left"
        self._progress.update(self._task, description=what, left=text)
        if fraction is not None:
            self._progress.update(self._task, completed=fraction)

    def end(self, result: CaseResult) -> None:
        """Replace the bar by the outcome."""
        self._clock.end(result)
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        if text := outcome(result, self._total):
            self._progress.console.print(text, highlight=False, markup=False)


class Lines:
    """Plain lines for files and continuous integration."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._clock = Clock(total)
        self._case = ""
        self._last: tuple[str, float] = ("", 0.0)

    def begin(self, case: str) -> None:
        """Remember the case; its first step makes the first line."""
        self._clock.begin()
        self._case = f"[{self._clock.number}/{self._total}] {case}"
        self._last = ("", 0.0)

    def step(self, what: str, fraction: float | None = None) -> None:
        """Write a line for a new step, and now and then within one."""
        left = self._clock.left(fraction)
        now = time.monotonic()
        if what == self._last[0] and now - self._last[1] < LINE_SECONDS:
            return
        self._last = (what, now)
        percent = "" if fraction is None else f" {fraction:.0%}"
        rest = "" if left is None else f", {duration(left)} left"
        self._print(f"{self._case}: {what}{percent}{rest}")

    def end(self, result: CaseResult) -> None:
        """Write how it ended."""
        self._clock.end(result)
        if text := outcome(result, self._total):
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class Silent:
    """For --quiet: nothing but warnings."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, case: str) -> None:
        """Nothing."""

    def step(self, what: str, fraction: float | None = None) -> None:
        """Nothing."""

    def end(self, result: CaseResult) -> None:
        """Say what was odd."""
        for line in warnings_of(result):
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def outcome(result: CaseResult, total: int) -> str:
    """How a case of so many ended, and what was odd about it, a line each.

    Nothing is said of the error of an only case: the whole command ends with it.
    """
    name = result.case.name
    if result.state == "finished":
        found = sum(row.voxels > 0 for row in result.rows)
        text = f"{name}: {counted(found, 'structure')} in {duration(result.seconds)}"
    elif result.state == "skipped":
        text = f"{name}: finished before, skipped"
    else:
        text = "" if total == 1 else f"{name}: {result.state}: {result.error}"
    lines = [text, *warnings_of(result)]
    return "\n".join(line for line in lines if line)


def warnings_of(result: CaseResult) -> list[str]:
    """A line for each warning of a case."""
    found = result.report.get("warnings") or ()
    return [f"{result.case.name}: warning: {warning}" for warning in found]


def duration(seconds: float) -> str:
    """`8 s`, `2 min 05 s`, `1 h 03 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
