"""Open sessions: lent to one request after another, put away when idle, found again by their id.

A session is in memory while somebody works on it and on disk after every edit. Putting one away
loses nothing: the next request opens it again, and the client need not notice.

Lock order: `_opening`, then a session's own lock, then `_table`. Nobody waits for the device while
holding `_opening` or `_table`, and nobody waits for `_opening` while holding a session's lock.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vista3d.errors import UsageError
from vista3d.inference import InteractiveSession, Model
from vista3d.inference.budget import available_memory
from vista3d.inference.interactive.history import masks
from vista3d.server.errors import BusyError, NotFoundError, TooLargeError, TooManyError
from vista3d.server.settings import GIB, MIB, Limits
from vista3d.server.storage import SessionRow, Storage, durable_replace, new_id
from vista3d.server.studies import Studies
from vista3d.server.view import Box, Edit, View, changed_box
from vista3d.volume import Volume

log = logging.getLogger(__name__)


class Held:
    """A session in memory.

    Attributes:
        id, study: of the index.
        session: the objects; changed only inside `alone`.
        view: of the last finished edit; replaced as a whole, read without a lock.
        cost: bytes that it may take at most.
        masks: bytes of compressed masks, now and in its past.
        leases: requests that use it now.
        used: monotonic time of the last one.
    """

    def __init__(
        self,
        row: SessionRow,
        session: InteractiveSession,
        cost: int,
        storage: Storage,
        limits: Limits,
    ) -> None:
        self.id, self.study = row.id, row.study
        self.session, self.cost = session, cost
        self._storage, self._limits = storage, limits
        self.view = View.of(session, _opens_as(row), saved=True)
        self.leases, self.used = 0, time.monotonic()
        self.gone = False
        self._lock = threading.Lock()
        self._queue = threading.BoundedSemaphore(limits.session_queue)
        self.masks = 0
        self._weigh()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else edits meanwhile.

        Raises:
            TooManyError: too many edits of this session wait.
            BusyError: another edit takes longer than `Limits.busy_seconds`.
            NotFoundError: the session was deleted meanwhile.
        """
        if not self._queue.acquire(blocking=False):
            msg = "many edits of this session wait already: await their answers"
            raise TooManyError(msg, 1)
        try:
            with self._locked():
                yield
        finally:
            self._queue.release()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._limits.busy_seconds):
            msg = "another edit of this session is still being computed: try again"
            raise BusyError(msg, 2)
        try:
            if self.gone:
                msg = f"session {self.id} was deleted"
                raise NotFoundError(msg)
            yield
        finally:
            self._lock.release()

    def publish(self) -> Edit:
        """Number, save and show what was done inside `alone`.

        A full disk does not undo the edit: the view says that it is not saved, and the next edit
        or the end of the session tries again.
        """
        self._trim()
        before = self.view
        now = View.of(self.session, before.revision + 1, saved=False)
        if before.saved and now.same(before):
            return self._edit(None)
        self.view = now
        self.save()
        return self._edit(changed_box(before.objects, now.objects))

    def _edit(self, changed: Box | None) -> Edit:
        return Edit(self.id, self.study, self.session.volume.affine, self.view, changed)

    def save(self) -> None:
        """Write what is not on disk yet."""
        if self.view.saved:
            return
        try:
            _write(self.session, self._storage.session_file(self.id))
            self._storage.session_saved(self.id, self.view.revision)
        except (OSError, UsageError) as error:
            log.error("session %s cannot be saved: %s", self.id, error)
            return
        self.view = View.of(self.session, self.view.revision, saved=True)

    def _trim(self) -> None:
        """Forget the oldest steps while all masks together take more than `session_bytes`."""
        self._weigh()
        past = self.session.history.past
        while past and self.masks > self._limits.session_bytes:
            del past[: max(1, len(past) // 10)]
            self._weigh()

    def _weigh(self) -> None:
        history = self.session.history
        present = {id(mask): len(mask.data) for mask in masks([history.present])}
        self.masks = history.bytes + sum(present.values())


def _opens_as(row: SessionRow) -> int:
    """The revision of a session that is opened from the disk.

    One more than there: if the last edit before a crash was saved but not counted, a client's copy
    of that number is not taken for the present.
    """
    return row.revision + 1


def _write(session: InteractiveSession, path: Path) -> None:
    partial = path.with_suffix(".part")
    try:
        session.save(partial)
        durable_replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


class Sessions:
    """Every session of the server, open or not.

    Args:
        model: the resident one.
        studies: their scans.
        storage: where they are kept.
        limits: `memory`, `session_cache` and those of a session.
    """

    def __init__(self, model: Model, studies: Studies, storage: Storage, limits: Limits) -> None:
        self._model, self._studies, self._storage, self._limits = model, studies, storage, limits
        free = available_memory()
        self.memory = limits.memory or (4 * GIB if free is None else free // 2)
        self._held: dict[str, Held] = {}
        self._table = threading.Lock()
        self._opening = threading.Lock()

    def create(self, study: str) -> str:
        """Begin a session on a study; it is on disk when this returns. Returns its id.

        Raises:
            NotFoundError: no such study, or it was deleted meanwhile; no file stays.
            BusyError, TooLargeError: no memory.
        """
        volume = self._studies.open(study)
        with self._opening:
            cost = self._make_room(volume)
            session = self._model.session(volume, cache_bytes=self._limits.session_cache)
            key = new_id()
            try:
                _write(session, self._storage.session_file(key))
                row = self._storage.add_session(key, study)
            except BaseException:
                self._storage.remove_session(key)
                raise
            with self._table:
                self._held[key] = self._hold(row, session, cost)
        return key

    @contextlib.contextmanager
    def lease(self, session: str) -> Iterator[Held]:
        """Use a session; it is opened where it is not, and stays open meanwhile.

        Raises:
            NotFoundError: no such session.
            BusyError: no memory, as others work.
            InputError: its file or its scan is damaged.
        """
        held = self._take(session)
        if held is None:
            with self._opening:
                held = self._take(session) or self._reopen(session)
        try:
            yield held
        finally:
            with self._table:
                held.leases -= 1
                held.used = time.monotonic()

    def listed(self) -> list[SessionRow]:
        """All of the index, each with the revision that looking at it gives; none is opened."""
        rows = self._storage.sessions()
        with self._table:
            now = {key: held.view.revision for key, held in self._held.items()}
        return [replace(row, revision=now.get(row.id, _opens_as(row))) for row in rows]

    def remove(self, session: str) -> None:
        """Delete a session and its file; its scan may be gone, or the file damaged.

        Raises:
            NotFoundError: no such session.
        """
        with self._opening:
            if session not in self._held:
                self._storage.session(session)
                self._storage.remove_session(session)
                return
        with self.lease(session) as held, held.alone():
            held.gone = True  # for those who wait for it; from then on nobody saves it
            self._storage.remove_session(session)
            with self._table:
                self._held.pop(session, None)

    def put_away_idle(self, seconds: float) -> int:
        """Put away those that nobody used for so long; how many."""
        limit = time.monotonic() - seconds
        idle = [held for held in self._candidates() if held.used < limit]
        return sum(self._put_away(held) for held in idle)

    def close(self) -> None:
        """Save whatever a full disk kept from being saved."""
        for held in list(self._held.values()):
            held.save()

    @property
    def open(self) -> int:
        """Sessions in memory."""
        return len(self._held)

    @property
    def bytes(self) -> int:
        """What the open ones may take together."""
        with self._table:
            return sum(held.cost + held.masks for held in self._held.values())

    def _take(self, session: str) -> Held | None:
        with self._table:
            held = self._held.get(session)
            if held is not None:
                held.leases += 1
            return held

    def _reopen(self, session: str) -> Held:
        row = self._storage.session(session)
        volume = self._studies.open(row.study)
        cost = self._make_room(volume)
        path = self._storage.session_file(session)
        opened = self._model.open_session(
            path, volume, cache_bytes=self._limits.session_cache
        )  # fmt: skip
        held = self._hold(row, opened, cost)
        held.leases = 1
        with self._table:
            self._held[session] = held
        return held

    def _hold(self, row: SessionRow, session: InteractiveSession, cost: int) -> Held:
        return Held(row, session, cost, self._storage, self._limits)

    def _make_room(self, volume: Volume) -> int:
        """Bytes of a session on this scan, after idle ones made room for it.

        Raises:
            BusyError: all others are in use.
            TooLargeError: it would not fit alone.
        """
        cost = self._cost(volume)
        if cost > self.memory:
            msg = (
                f"a session on this scan takes up to {cost / GIB:.1f} GiB, the server gives "
                f"{self.memory / GIB:.1f} GiB to all: crop the scan, or start it with more memory"
            )
            raise TooLargeError(msg)
        for held in sorted(self._candidates(), key=lambda held: held.used):
            if self.bytes + cost <= self.memory:
                break
            self._put_away(held)
        if self.bytes + cost > self.memory:
            msg = f"{self.open} sessions are in use, and the memory is full: try again later"
            raise BusyError(msg, 10)
        return cost

    def _cost(self, volume: Volume) -> int:
        """The scan, its float32 copy on the model's grid, and the window tokens."""
        geometry, spacing = volume.geometry, self._model.meta.spacing
        size = np.array(geometry.shape, float) * geometry.spacing
        grid = 4 * float(np.prod(size / (spacing or geometry.spacing)))
        return int(volume.array.nbytes + grid) + self._limits.session_cache + MIB

    def _candidates(self) -> list[Held]:
        with self._table:
            return [held for held in self._held.values() if not held.leases]

    def _put_away(self, held: Held) -> bool:
        with self._table:
            if held.leases:
                return False
            if held.view.saved:
                return self._held.pop(held.id, None) is not None
        # A full disk kept it from being saved: try again, as an edit would.
        with contextlib.suppress(BusyError, NotFoundError), self.lease(held.id), held.alone():
            held.save()
        return False
