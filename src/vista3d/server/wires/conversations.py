"""Sessions that go on from one request of a client to its next, which repeats all its clicks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vista3d.server.errors import BusyError, NotFoundError
from vista3d.server.service import Service
from vista3d.server.wires.working import forget


class Conversations:
    """One session per client and scan.

    Args:
        service: of the server.
        limit: kept at once; the oldest goes first, and loses nothing that its client does not have.
        seconds: after which an unused one goes.
    """

    def __init__(self, service: Service, limit: int = 64, seconds: float = 3600) -> None:
        self._service, self._limit, self._seconds = service, limit, seconds
        self._kept: OrderedDict[tuple[str, str], _Talk] = OrderedDict()
        self._table = threading.Lock()

    @contextmanager
    def session(self, client: str, study: str) -> Iterator[str]:
        """The session of a client on a study, alone.

        Raises:
            BusyError: its former request takes long.
        """
        talk = self._take((client, study))
        try:
            if talk.session is None or not _exists(self._service, talk.session):
                talk.session = self._service.sessions.create(study)
                # Each label is answered for itself, as the protocol has it.
                self._service.set_overlap(talk.session, "allow overlap")
            yield talk.session
        finally:
            talk.used = time.monotonic()
            talk.lock.release()

    def end(self, study: str) -> None:
        """End those on a study."""
        with self._table:
            keys = [key for key in self._kept if key[1] == study]
        self._drop(keys)

    def close(self) -> None:
        """End all."""
        with self._table:
            keys = list(self._kept)
        self._drop(keys)

    def _take(self, key: tuple[str, str]) -> _Talk:
        self._drop_old()
        while True:
            with self._table:
                talk = self._kept.setdefault(key, _Talk())
                self._kept.move_to_end(key)
            if not talk.lock.acquire(timeout=self._service.limits.busy_seconds):
                msg = "a former request on this image is still being computed: try again"
                raise BusyError(msg, 2)
            if self._kept.get(key) is talk:
                return talk
            talk.lock.release()  # dropped while we waited

    def _drop_old(self) -> None:
        limit = time.monotonic() - self._seconds
        with self._table:
            talks = list(self._kept.items())
        spare = max(0, len(talks) - self._limit)
        self._drop([key for n, (key, talk) in enumerate(talks) if n < spare or talk.used < limit])

    def _drop(self, keys: Sequence[tuple[str, str]]) -> None:
        for key in keys:
            talk = self._kept.get(key)
            if talk is None or not talk.lock.acquire(blocking=False):
                continue  # in use
            try:
                with self._table:
                    self._kept.pop(key, None)
                if talk.session is not None:
                    forget(self._service, talk.session)
                talk.session = None
            finally:
                talk.lock.release()


class _Talk:
    """A session, once there is one, and who uses it."""

    def __init__(self) -> None:
        self.session: str | None = None
        self.lock = threading.Lock()
        self.used = time.monotonic()


def _exists(service: Service, session: str) -> bool:
    try:
        service.storage.session(session)
    except NotFoundError:
        return False
    return True
