"""Ctrl-C as a request: the first ends the work at the next safe point, the second at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def cancel_on_interrupt(tell: Callable[[str], None]) -> Iterator[threading.Event]:
    """Yield an event that SIGINT (Ctrl-C) or SIGTERM sets; a second signal interrupts at once.

    Outside the main thread, where Python has no signals, the event is simply never set. The
    previous handlers come back at the end.
    """
    cancel = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        tell("stopping after this step; press Ctrl-C again to stop at once")

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
