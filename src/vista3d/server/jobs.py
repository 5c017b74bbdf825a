"""Work that nobody waits for on the line: its state can be asked, followed and cancelled."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

from vista3d.errors import CancelledError, Vista3DError
from vista3d.inference.watch import Progress
from vista3d.server.errors import BusyError, NotFoundError
from vista3d.server.storage import new_id

log = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "cancelled"]
FINAL = frozenset({"done", "failed", "cancelled"})

KEPT = 256
"""Finished jobs that can still be asked for."""

SHARES = {"preparing": (0.0, 0.05), "segmenting": (0.05, 0.75), "labelling": (0.75, 1.0)}
"""Where the steps begin and end in a run: shares of the time of a torso with mini on two cores."""


@dataclass(frozen=True)
class JobView:
    """A job at one moment. `progress` 0..1 never falls; `result` is what the work returned."""

    id: str
    session: str
    kind: str
    state: State = "queued"
    progress: float = 0.0
    message: str = "waiting for the device"
    error: Vista3DError | None = None
    result: Any = None


class Job:
    """Something under way: `view` is replaced as a whole at each change."""

    def __init__(self, session: str, kind: str) -> None:
        self.view = JobView(new_id(), session, kind)
        self.cancel = threading.Event()
        self.finished = threading.Event()

    def tell(self, progress: Progress) -> None:
        """Take over what the work reports."""
        low, high = SHARES.get(progress.step, (0.0, 1.0))
        done = max(self.view.progress, low + (high - low) * progress.fraction)
        self.view = replace(self.view, state="running", progress=done, message=progress.step)

    def end(self, state: State, message: str, **values: Any) -> None:
        """The last change."""
        done = 1.0 if state == "done" else self.view.progress
        self.view = replace(self.view, state=state, progress=done, message=message, **values)
        self.finished.set()


class Jobs:
    """The jobs of a server.

    Args:
        limit: that may be under way or waiting.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pool = ThreadPoolExecutor(limit, thread_name_prefix="job")
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, session: str, kind: str, work: Callable[[Job], Any]) -> Job:
        """Run `work` in a thread of its own.

        Raises:
            BusyError: too many are under way.
        """
        job = Job(session, kind)
        with self._lock:
            if len(self.running) >= self._limit:
                msg = f"{self._limit} automatic runs are under way or waiting: try again later"
                raise BusyError(msg, 15)
            self._jobs[job.view.id] = job
            self._forget()
        self._pool.submit(self._work, job, work)
        return job

    def find(self, job: str) -> Job:
        """Raises NotFoundError: unknown, or finished long ago."""
        found = self._jobs.get(job)
        if found is None:
            msg = f"there is no job {job[:80]!r}: the last {KEPT} are kept until the server stops"
            raise NotFoundError(msg)
        return found

    @property
    def running(self) -> list[Job]:
        """Those that are not finished."""
        return [job for job in list(self._jobs.values()) if not job.finished.is_set()]

    def of_session(self, session: str) -> list[Job]:
        """The jobs of a session that are remembered, oldest first."""
        return [job for job in list(self._jobs.values()) if job.view.session == session]

    def unfinished(self, session: str) -> Job | None:
        """The job of a session that waits or runs; it has one at most."""
        return next((job for job in self.running if job.view.session == session), None)

    def close(self) -> None:
        """Cancel everything and wait."""
        for job in self.running:
            job.cancel.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self) -> None:
        finished = [key for key, job in self._jobs.items() if job.finished.is_set()]
        for key in finished[: max(0, len(finished) - KEPT)]:
            del self._jobs[key]

    @staticmethod
    def _work(job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.end("done", "done", result=work(job))
        except CancelledError as error:
            job.end("cancelled", str(error))
        except Vista3DError as error:
            job.end("failed", str(error), error=error)
        except Exception:
            log.exception("job %s failed", job.view.id)
            unexpected = Vista3DError("an unexpected error: the server's log says more")
            job.end("failed", str(unexpected), error=unexpected)
