"""SHA-256 of files, remembered while size and modification time stay the same (as git does)."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

_SETTLED = 2.0
"""Seconds after a change until a digest is remembered: a second change within the resolution of the
clock of some file systems would go unseen."""


class Digests:
    """Digests in a text file to which any number of processes append lines."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, str] | None = None

    def of(self, path: Path) -> str:
        """Hexadecimal SHA-256 of a file's bytes."""
        if self._known is None:
            self._known = self._read()
        state = path.stat()
        key = f"{state.st_size} {state.st_mtime_ns} {path.resolve()}"
        if key not in self._known:
            with path.open("rb") as file:
                digest = _sha256(file)
            if time.time() - state.st_mtime < _SETTLED:
                return digest
            self._known[key] = digest
            # A store that may only be read is as good; the digest is computed once a process.
            with contextlib.suppress(OSError), self.file.open("a", encoding="utf-8") as out:
                out.write(f"{digest} {key}\n")
        return self._known[key]

    def _read(self) -> dict[str, str]:
        if not self.file.is_file():
            return {}
        lines = self.file.read_text(encoding="utf-8").splitlines()
        pairs = (line.split(" ", 1) for line in lines)
        # The last line of a killed process may be cut short.
        return {pair[1]: pair[0] for pair in pairs if len(pair) == 2 and len(pair[0]) == 64}


def _sha256(file: object) -> str:
    """Python 3.10 has no hashlib.file_digest."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):  # type: ignore[attr-defined]
        digest.update(block)
    return digest.hexdigest()
