"""The device's lane: one thread computes, the others wait their turn in a bounded queue.

Clicks go before automatic runs. A long run lets the waiting clicks of other sessions pass each time
it reports progress, about once a window, so that nobody's click waits for somebody else's torso.

Concurrency contract: whoever submits holds its session's lock and waits; the lane takes no lock of
any session, so that no circle of waiting can form.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vista3d.errors import CancelledError
from vista3d.inference.watch import Progress
from vista3d.server.errors import BusyError

Listener = Callable[[Progress], None]

_T = TypeVar("_T")

_NOT_BEGUN = "cancelled before it began"

_LOOK = 0.2
"""Seconds between two looks whether a waiting task was cancelled."""


@dataclass(eq=False)
class Task:
    """Something to compute.

    Attributes:
        work: called in the lane's thread with a listener to report to, and with `cancel`.
        owner: whose it is; the tasks of an owner never run inside one another.
        urgent: a click (a person waits), or else an automatic run.
        cancel: set it to stop, also while the task waits.
        progress: told what the work reports.
        future: its result.
    """

    work: Callable[[Listener, threading.Event], Any]
    owner: str
    urgent: bool = True
    cancel: threading.Event = field(default_factory=threading.Event)
    progress: Listener = lambda _: None
    future: Future[Any] = field(default_factory=Future)


class Lane:
    """A queue and the thread that empties it.

    Args:
        name: of the device, for the thread's name.
        limit: tasks that may wait.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._limit = limit
        self._urgent: deque[Task] = deque()
        self._patient: deque[Task] = deque()
        self._running: list[Task] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"lane-{name}", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Queue a task.

        Raises:
            BusyError: the queue is full, or the server stops.
        """
        with self._changed:
            if self._closed:
                msg = "the server is stopping: try again once it is back"
                raise BusyError(msg)
            if self.waiting >= self._limit:
                msg = f"{self.waiting} calculations wait for the device: try again later"
                raise BusyError(msg)
            (self._urgent if task.urgent else self._patient).append(task)
            self._changed.notify_all()

    def run(
        self,
        work: Callable[[Listener, threading.Event], _T],
        *,
        owner: str,
        urgent: bool = True,
        cancel: threading.Event | None = None,
        progress: Listener = lambda _: None,
    ) -> _T:
        """Queue a task, wait for it, and return or raise what it does; see `Task`.

        Raises:
            BusyError: as `submit`.
            CancelledError: cancelled before its turn, or as the work does.
        """
        task = Task(work, owner, urgent, cancel or threading.Event(), progress)
        self.submit(task)
        while not wait([task.future], _LOOK).done:
            self._drop_if_cancelled(task)
        result: _T = task.future.result()
        return result

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return len(self._urgent) + len(self._patient)

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.waiting and not self._running

    @property
    def alive(self) -> bool:
        """Whether the thread takes tasks."""
        return self._thread.is_alive() and not self._closed

    def close(self, seconds: float = 60) -> None:
        """Take no more tasks, cancel those that wait and run, and wait for the thread.

        Work that was cancelled ends at its next report: after a window, half a minute at the most.
        """
        with self._changed:
            self._closed = True
            for task in (*self._urgent, *self._patient, *self._running):
                task.cancel.set()
            self._changed.notify_all()
        self._thread.join(seconds)

    def _drop_if_cancelled(self, task: Task) -> None:
        if not task.cancel.is_set():
            return
        with self._changed:
            for queue in (self._urgent, self._patient):
                if task in queue:
                    queue.remove(task)
                    task.future.set_exception(CancelledError(_NOT_BEGUN))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.waiting or self._closed)
                if not self.waiting:
                    return
                task = (self._urgent or self._patient).popleft()
                self._running.append(task)
            self._do(task)

    def _do(self, task: Task) -> None:
        def listen(progress: Progress) -> None:
            task.progress(progress)
            if not task.urgent:
                self._let_pass(task)

        try:
            if task.cancel.is_set():
                raise CancelledError(_NOT_BEGUN)
            result = task.work(listen, task.cancel)
        except BaseException as error:
            self._running.remove(task)
            task.future.set_exception(error)
        else:
            self._running.remove(task)
            task.future.set_result(result)

    def _let_pass(self, running: Task) -> None:
        """Run the urgent tasks of others, in the middle of a patient one."""
        while True:
            with self._changed:
                others = [task for task in self._urgent if task.owner != running.owner]
                if not others:
                    return
                self._urgent.remove(others[0])
                self._running.append(others[0])
            self._do(others[0])
