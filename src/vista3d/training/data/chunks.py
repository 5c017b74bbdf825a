"""Compressed arrays on disk of which a crop reads only its own blocks.

One Blosc2 file an array: chunks of 64^3 voxels in blocks of 16^3 that are decoded one by one,
bytes shuffled, Zstandard level 3. Chosen by measurement (docs/data.md) over zarr, which has no
version 3 for Python 3.10, keeps hundreds of files a scan and reads a crop 7 times slower.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vista3d.errors import UsageError

Box = tuple[slice, ...]

CHUNK, BLOCK = 64, 16


class Voxels(Protocol):
    """What training needs of a volume: a numpy array is one, an array on disk is another."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (i, j, k)."""
        ...

    def __getitem__(self, box: Box, /) -> np.ndarray:
        """The voxels of a box."""
        ...


def write_chunks(path: Path, array: np.ndarray) -> None:
    """Write a 3D array; `path` must not exist.

    Raises:
        UsageError: Blosc2 is not installed.
    """
    blosc2 = _blosc2()
    blosc2.asarray(
        np.ascontiguousarray(array),
        chunks=tuple(min(CHUNK, n) for n in array.shape),
        blocks=tuple(min(BLOCK, n) for n in array.shape),
        urlpath=str(path),
        mode="w",
        # One thread: loader workers are forked, and threads do not survive a fork.
        cparams={
            "codec": blosc2.Codec.ZSTD,
            "clevel": 3,
            "filters": [blosc2.Filter.SHUFFLE],
            "nthreads": 1,
        },
    )


def read_chunks(path: Path, box: Any = ...) -> np.ndarray:
    """The voxels of a box, or all of them.

    Raises:
        FileNotFoundError: no such file.
        UsageError: Blosc2 is not installed.
    """
    blosc2 = _blosc2()
    if not path.is_file():
        raise FileNotFoundError(path)
    stored = blosc2.open(str(path), mode="r", dparams={"nthreads": 1})
    return np.asarray(stored[box])


def _blosc2() -> Any:
    """The library, imported when used: half a second."""
    try:
        import blosc2
    except ImportError:
        msg = "prepared volumes are kept with Blosc2: pip install 'vista3d[train]'"
        raise UsageError(msg) from None
    return blosc2
