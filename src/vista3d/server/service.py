"""What the server does, without HTTP: the web page's API and the wires call the same object.

Threads: each request has its own. It takes the lease of a session, then its lock, then a place in
the device's lane, always in this order; see `lane` and `sessions` for their parts of the contract.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from vista3d.errors import MemoryBudgetError
from vista3d.inference import InteractiveSession, Model
from vista3d.inference.interactive import Click, Overlap, Space
from vista3d.inference.interactive.masks import values_of
from vista3d.server import warm_up
from vista3d.server.errors import BusyError, ConflictError, TooLargeError
from vista3d.server.jobs import Job, Jobs
from vista3d.server.lane import Lane, Listener, Task
from vista3d.server.schemas import EditOut, edit_out
from vista3d.server.sessions import Held, Sessions
from vista3d.server.settings import Settings
from vista3d.server.storage import Storage
from vista3d.server.studies import Scans, Studies
from vista3d.server.view import Box, Edit

log = logging.getLogger(__name__)

_SWEEP = 10.0
"""Seconds between two looks for idle sessions."""


class Service:
    """A model with everything around it.

    Args:
        model: the resident one.
        settings: where and how much.
        scans: of the folder that is offered, see `studies.Scans`.

    Attributes:
        studies, sessions, jobs, lane, storage: its parts.
        chores: what else is done every few seconds.
        ready: set once the model has answered its first click.
    """

    def __init__(self, model: Model, settings: Settings, scans: Scans = lambda: ()) -> None:
        limits = settings.limits
        self.model, self.settings, self.limits = model, settings, limits
        self.storage = Storage(settings.storage)
        self.studies = Studies(self.storage, scans, limits)
        self.sessions = Sessions(model, self.studies, self.storage, limits)
        self.jobs = Jobs(limits.jobs)
        self.lane = Lane(model.runtime.device, limits.queue)
        self.ready = threading.Event()
        self.chores: list[Callable[[], None]] = []
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
        self._sweeper.start()
        first = Task(lambda _, cancel: warm_up.click(model, cancel), owner="")
        first.future.add_done_callback(lambda _: self.ready.set())
        self.lane.submit(first)

    def close(self) -> None:
        """Stop the work, save, and let go."""
        self._stop.set()
        for job in self.jobs.running:
            job.cancel.set()
        self.lane.close()
        self.jobs.close()
        self.sessions.close()
        self._sweeper.join()
        self.storage.close()

    def edit(self, session: str, work: Callable[[InteractiveSession], object]) -> Edit:
        """Change a session, save it, and say what changed. For work that needs no device.

        Raises:
            NotFoundError: no such session.
            ConflictError: an automatic run of this session is under way.
            BusyError: somebody else's edit of this session takes too long.
        """
        return self._edit(session, lambda held: work(held.session), None)

    def click(
        self,
        session: str,
        position: Sequence[float],
        positive: bool = True,
        *,
        space: Space,
        object_id: int | None = None,
    ) -> Edit:
        """As `InteractiveSession.click`, in the device's lane."""

        def work(held: Held, progress: Listener, cancel: threading.Event) -> None:
            held.session.click(
                position, positive, space=space, object_id=object_id,
                progress=progress, cancel=cancel,
            )  # fmt: skip

        return self._computed(session, work)

    def remove_click(self, session: str, object_id: int, index: int) -> Edit:
        """As `InteractiveSession.remove_click`, in the device's lane."""

        def work(held: Held, progress: Listener, cancel: threading.Event) -> None:
            held.session.remove_click(object_id, index, progress=progress, cancel=cancel)

        return self._computed(session, work)

    def add_object(self, session: str, name: str | None, class_: str | int | None) -> Edit:
        """As `InteractiveSession.add_object`, up to a number of objects.

        Raises:
            TooLargeError: the session has that many.
        """

        def work(held: Held) -> None:
            self._check_room(held, 1)
            held.session.add_object(name, class_=class_)

        return self._edit(session, work, None)

    def brush(
        self, session: str, object_id: int, box: Box, covered: np.ndarray, *, adds: bool = True
    ) -> Edit:
        """As `InteractiveSession.brush`."""
        return self._drawn(session, lambda s: s.brush(object_id, box, covered, adds=adds))

    def set_mask(self, session: str, object_id: int, mask: np.ndarray) -> Edit:
        """As `InteractiveSession.set_initial_mask`."""
        return self._drawn(session, lambda s: s.set_initial_mask(object_id, mask))

    def add_labels(self, session: str, labels: np.ndarray, names: Mapping[int, str]) -> Edit:
        """As `InteractiveSession.add_labels`, up to a number of objects.

        Raises:
            TooLargeError: the session would have more.
        """
        found = len(values_of(labels))

        def work(held: Held) -> None:
            self._check_room(held, found)
            self._check_masks(held)
            held.session.add_labels(labels, names)

        return self._edit(session, work, None)

    def set_overlap(self, session: str, policy: Overlap) -> Edit:
        """Choose what happens where objects meet."""

        def work(opened: InteractiveSession) -> None:
            opened.overlap = policy

        return self.edit(session, work)

    def automatic(self, session: str, classes: str | Iterable[str | int]) -> Job:
        """Begin an automatic run; its job's result is the answer to an edit.

        Raises:
            NotFoundError: no such session.
            ConflictError: one is under way already.
            UnknownClassError: before anything begins.
            BusyError: too many are under way.
        """
        wanted = classes if isinstance(classes, str) else list(classes)
        self.model.vocabulary.resolve(wanted)
        with self.sessions.lease(session):
            self._refuse_second_job(session)

        def work(job: Job) -> EditOut:
            edit = self._edit(session, lambda held: self._run_automatic(held, wanted, job), job)
            return edit_out(edit)  # jobs are kept for long: this holds no mask

        return self.jobs.start(session, "automatic", work)

    def prefetch(self, session: str, position: Sequence[float], space: Space) -> None:
        """Prepare the window under a cursor; left out when the device has anything else to do."""
        with self.sessions.lease(session) as held:
            scene = held.session
        click = Click.at(position, True, space, scene.volume.geometry)
        if self.lane.idle:
            task = Task(
                lambda *_: scene.prefetch(click.position, space="voxel"), session, urgent=False
            )
            with contextlib.suppress(BusyError):
                self.lane.submit(task)

    def delete_session(self, session: str) -> None:
        """Delete a session; an automatic run of it must be cancelled first."""
        self._refuse_second_job(session)
        self.sessions.remove(session)

    def _run_automatic(self, held: Held, classes: str | list[str | int], job: Job) -> None:
        def run() -> None:
            self.lane.run(
                lambda progress, cancel: held.session.run_automatic(
                    classes, progress=progress, cancel=cancel
                ),
                owner=held.id, urgent=False, cancel=job.cancel, progress=job.tell,
            )  # fmt: skip

        try:
            run()
        except MemoryBudgetError:  # predicted before anything was computed
            if not self.sessions.put_away_idle(0):
                raise
            run()

    def _check_room(self, held: Held, new: int) -> None:
        """Raises TooLargeError: so many new objects are too many."""
        there, most = len(held.view.objects), self.limits.objects
        if there + new > most:
            msg = f"{there} objects and {new} new ones, a session has at most {most}: remove some"
            raise TooLargeError(msg)

    def _check_masks(self, held: Held) -> None:
        """Raises TooLargeError: the masks take too much already."""
        if held.masks > self.limits.session_bytes:
            msg = f"the masks of the session take {held.masks} bytes: remove objects"
            raise TooLargeError(msg)

    def _drawn(self, session: str, work: Callable[[InteractiveSession], object]) -> Edit:
        """An edit with voxels from outside, which may be noise that no compression makes small.

        Raises:
            TooLargeError: the session holds too much of it already.
        """

        def checked(held: Held) -> None:
            self._check_masks(held)
            work(held.session)

        return self._edit(session, checked, None)

    def _computed(
        self, session: str, work: Callable[[Held, Listener, threading.Event], None]
    ) -> Edit:
        def compute(held: Held) -> None:
            self.lane.run(lambda progress, cancel: work(held, progress, cancel), owner=session)

        return self._edit(session, compute, None)

    def _edit(self, session: str, work: Callable[[Held], object], job: Job | None) -> Edit:
        if job is None:
            self._refuse_second_job(session)
        with self.sessions.lease(session) as held, held.alone():
            try:
                work(held)
            finally:  # work of several steps may fail at the second: what is done is done
                edit = held.publish()
            return edit

    def _refuse_second_job(self, session: str) -> None:
        job = self.jobs.unfinished(session)
        if job is not None:
            msg = (
                f"an automatic run of this session is under way: wait for job {job.view.id}, or "
                "cancel it"
            )
            raise ConflictError(msg)

    def _sweep(self) -> None:
        while not self._stop.wait(min(_SWEEP, self.limits.idle_seconds / 2)):
            count = self.sessions.put_away_idle(self.limits.idle_seconds)
            if count:
                log.info("%d idle sessions put away", count)
            for chore in self.chores:
                try:
                    chore()
                except Exception:  # the next one must come
                    log.exception("tidying up failed")
