"""Progress out, cancellation in, and the seconds of each step."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vista3d.errors import CancelledError


@dataclass(frozen=True)
class Progress:
    """What is being done, and how much of it is done (0..1)."""

    step: str
    fraction: float


class Watch:
    """Listens to a case.

    Args:
        progress: told each step and its fraction, from the thread that does the work.
        cancel: once set, the next report of any step raises CancelledError.
    """

    def __init__(
        self,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self._progress, self._cancel = progress, cancel
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(self, step: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
        """Time (a part of) a step; yields its listener to (done, total).

        Args:
            step: "preparing", "segmenting", "labelling".
            quiet: no progress, only cancellation: a part that belongs to another step's time.
        """

        def listen(done: int, total: int) -> None:
            if self._cancel is not None and self._cancel.is_set():
                msg = f"cancelled while {step}"
                raise CancelledError(msg)
            if self._progress is not None and not quiet:
                self._progress(Progress(step, done / max(1, total)))

        started = time.perf_counter()
        yield listen
        spent = time.perf_counter() - started
        self.seconds[step] = round(self.seconds.get(step, 0.0) + spent, 3)
