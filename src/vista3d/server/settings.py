"""What a server is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from vista3d.server.errors import StartError

MIB, GIB = 2**20, 2**30

LEAST_TOKEN = 16
"""Characters: what `secrets.token_urlsafe(12)` gives, 96 bits; shorter ones can be guessed."""


@dataclass(frozen=True)
class Limits:
    """How much anybody may ask for.

    Attributes:
        upload_bytes: of one study as sent, all files together.
        upload_files: of one study; the longest CT series have about 3000 slices.
        body_bytes: of any other request, as JSON is small.
        mask_bytes: of a mask or a brush stroke as sent.
        voxels: of one scan; 2^29 is 1 GiB as int16, and 1 GiB more on no model's grid.
        ratio: unpacked bytes per packed byte of a scan. CT packs 2- to 10-fold, mostly air 50-fold.
        session_cache: bytes of window tokens that a session keeps for later clicks.
        memory: bytes of all open sessions together; None is half of what is free at the start.
        idle_seconds: after which a session leaves the memory; it is opened again when asked for.
        queue: calculations that may wait for the device.
        session_queue: edits of one session that may wait for one another.
        session_bytes: compressed masks of a session, now and in its past; beyond it the oldest
            steps cannot be undone any more, and nothing can be painted.
        objects: of a session.
        jobs: automatic runs under way or waiting.
        busy_seconds: how long an edit waits for another edit of its session.
        free_disk: bytes that uploads leave free, so that sessions can still be saved.
    """

    upload_bytes: int = 4 * GIB
    upload_files: int = 5000
    body_bytes: int = MIB
    mask_bytes: int = 256 * MIB
    voxels: int = 2**29
    ratio: int = 200
    session_cache: int = 256 * MIB
    memory: int | None = None
    idle_seconds: float = 1800
    queue: int = 64
    session_queue: int = 8
    session_bytes: int = 512 * MIB
    objects: int = 1000
    jobs: int = 16
    busy_seconds: float = 30
    free_disk: int = GIB


@dataclass(frozen=True)
class Settings:
    """Where and for whom.

    Attributes:
        storage: private folder of uploads, sessions and their index.
        host: address to listen at.
        token: that every request must carry; None on loopback only.
        hosts: names under which the server may be addressed; None accepts all, as a token already
            keeps out pages that rebind their own name to this machine.
        limits: see `Limits`.
    """

    storage: Path
    host: str = "127.0.0.1"
    token: str | None = None
    hosts: frozenset[str] | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.token is not None and not self.token.isascii():
            msg = "the token has characters that no HTTP header can carry: use ASCII"
            raise StartError(msg)
        if is_loopback(self.host):
            if self.hosts is None and self.token is None:
                names = frozenset({"localhost", "127.0.0.1", "::1", self.host})
                object.__setattr__(self, "hosts", names)
            return
        if self.token is None:
            msg = (
                f"{self.host} can be reached from other machines, and there is no token: give "
                "--token (or VISTA3D_TOKEN), or stay at --host 127.0.0.1"
            )
            raise StartError(msg)
        if len(self.token) < LEAST_TOKEN:
            msg = (
                f"the token has {len(self.token)} characters, it can be guessed: take at least "
                f"{LEAST_TOKEN}, such as those of "
                "python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
            raise StartError(msg)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; a name other than localhost is not trusted."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
