"""Which clients are connected: a lease ends by release, by silence, or by idleness."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vista3d.errors import UsageError, Vista3DError
from vista3d.server.errors import BusyError
from vista3d.server.wires.nninteractive.scene import Scene

LIVENESS = 60.0
"""Seconds without any sign of a client, which sends one every 30: it is gone."""


_GONE = "the lease has expired or was never given: connect again"


class LeaseGoneError(Vista3DError):
    """No such lease any more; the client connects again and sends its mask as a start."""

    http_status = 410


class Lease:
    """One client. `active` is the time of its last action, `seen` of its last sign of life."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.active = self.seen = time.monotonic()
        self.scene: Scene | None = None
        self.lock, self.gone = threading.Lock(), False

    @contextmanager
    def alone(self, seconds: float) -> Iterator[None]:
        """One request of a client at a time.

        Raises:
            BusyError: its former one takes long.
        """
        if not self.lock.acquire(timeout=seconds):
            msg = "a former request of this client is still being computed: try again"
            raise BusyError(msg, 2)
        try:
            yield
        finally:
            self.lock.release()

    def drawn(self) -> Scene:
        """The image.

        Raises:
            UsageError: none was set.
        """
        if self.scene is None:
            msg = "set_image comes first"
            raise UsageError(msg)
        return self.scene

    def put(self, scene: Scene | None) -> None:
        """Take another image, or none.

        Raises:
            LeaseGoneError: the lease ended while the image came.
        """
        former = scene if self.gone else self.scene
        if former is not None:
            with contextlib.suppress(Vista3DError):  # somebody works on it in the annotator
                former.close()
        if self.gone:
            raise LeaseGoneError(_GONE)
        self.scene = scene


class Leases:
    """The clients of a server.

    Args:
        limit: at once.
        idle: seconds without an action.
    """

    def __init__(self, limit: int, idle: float) -> None:
        self.limit, self.idle = limit, idle
        self._leases: dict[str, Lease] = {}
        self._table = threading.Lock()

    def claim(self) -> Lease:
        """A new one.

        Raises:
            BusyError: all are taken.
        """
        self.sweep()
        with self._table:
            if len(self._leases) >= self.limit:
                msg = f"{self.limit} clients are connected: try again later"
                raise BusyError(msg, 10)
            lease = Lease()
            self._leases[lease.token] = lease
            return lease

    def get(self, token: str | None, *, active: bool) -> Lease:
        """The lease of a request.

        Args:
            token: of its header.
            active: whether a person did something, or the client only lives.

        Raises:
            LeaseGoneError: unknown, released, or expired.
        """
        self.sweep()
        with self._table:
            lease = self._leases.get(token or "")
            if lease is None:
                raise LeaseGoneError(_GONE)
            lease.seen = time.monotonic()
            if active:
                lease.active = lease.seen
            return lease

    def remaining(self, lease: Lease) -> float:
        """Seconds until it is idle."""
        return max(0.0, self.idle - (time.monotonic() - lease.active))

    def release(self, token: str | None) -> None:
        """End one; nothing happens where there is none."""
        with self._table:
            lease = self._leases.pop(token or "", None)
        if lease is not None:
            with lease.lock:
                lease.put(None)
                lease.gone = True

    def sweep(self) -> None:
        """End those that are silent or idle, unless they wait for an answer."""
        now = time.monotonic()
        for token, lease in list(self._leases.items()):
            dead = now - lease.seen > LIVENESS or now - lease.active > self.idle
            if dead and not lease.lock.locked():
                self.release(token)

    def close(self) -> None:
        """End all."""
        for token in list(self._leases):
            self.release(token)
