"""Giving memory back to the system early. Linux with glibc; elsewhere both do nothing.

A freed block is not a returned one: the C library keeps what may be asked for again, per thread,
and a mapped file stays resident for as long as nobody else needs the memory.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

_MADV_DONTNEED = 4


def trim_heap() -> None:
    """Return freed blocks to the system: 0.05 GB after labelling, more with large tiles."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


def release_file(file: Path) -> None:
    """Drop the resident pages of a file mapped read-only; they come back when they are touched."""
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return
    wanted = str(file.resolve())
    for line in maps.read_text().splitlines():
        area, access, *_, name = line.split(maxsplit=5)
        # A page of a read-only mapping cannot hold anything that is not in the file.
        if name == wanted and "w" not in access:
            first, last = (int(end, 16) for end in area.split("-"))
            _libc().madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_DONTNEED)


@functools.cache
def _libc() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None
