"""Whether a scan is still the one that was read: files under --data may be replaced at any time."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

_IN_TWO_FILES = (".mhd", ".nhdr")
"""Headers that name another file for their voxels."""


def scan_state(path: Path) -> str:
    """A digest of names, sizes and times of all files that a scan may be made of."""
    place = path.parent if path.suffix.lower() in _IN_TWO_FILES else path
    found = []
    for file in place.rglob("*") if place.is_dir() else [place]:
        with contextlib.suppress(FileNotFoundError):  # it went while we looked
            state = file.stat()
            found.append((str(file), state.st_ino, state.st_size, state.st_mtime_ns))
    return hashlib.blake2b(repr(sorted(found)).encode(), digest_size=16).hexdigest()
