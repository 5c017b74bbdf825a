"""Arrays on this wire: the NNIA container, blosc2 chunks after a header (facts: ecosystem C3).

    "NNIA" | u8 version 1 | u8 codec (1 zstd, 2 lz4) | u8 ndim | u8 length of the dtype's name |
    name, ASCII | i64 shape[ndim] | u32 chunks | per chunk: u64 unpacked, u64 packed, blosc2 frame

All little-endian. Nothing is allocated before the header has been compared with the bytes that are
there: shape, sizes of the chunks, and what each frame itself says.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import numpy as np

from vista3d.errors import InputError
from vista3d.server.errors import TooLargeError
from vista3d.server.settings import MIB

_HEAD = struct.Struct("<4sBBBB")
_MAGIC, _VERSION, _ZSTD, _CODECS = b"NNIA", 1, 1, (1, 2)

_CHUNK = 2**30
"""blosc2 counts the bytes of a call in 31 bits."""

_FRAME_HEAD = 32
"""Bytes of the header of a blosc2 chunk."""

_FREE = 64 * MIB
"""Claimed bytes that need no proof, as for uploads of the server."""

DTYPES = frozenset(
    {"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
     "float32", "float64"}
)  # fmt: skip


def pack(values: np.ndarray) -> bytes:
    """An array as a container."""
    import blosc2

    plain = np.ascontiguousarray(values)
    name = plain.dtype.name.encode("ascii")
    raw = plain.reshape(-1).view(np.uint8).data
    chunks = [raw[start : start + _CHUNK] for start in range(0, len(raw), _CHUNK)]
    parts = [
        _HEAD.pack(_MAGIC, _VERSION, _ZSTD, plain.ndim, len(name)), name,
        struct.pack(f"<{plain.ndim}q", *plain.shape), struct.pack("<I", len(chunks)),
    ]  # fmt: skip
    for chunk in chunks:
        packed = blosc2.compress2(
            chunk, typesize=plain.itemsize, codec=blosc2.Codec.ZSTD, clevel=3,
            filters=[blosc2.Filter.NOFILTER],
        )  # fmt: skip
        parts += [struct.pack("<QQ", len(chunk), len(packed)), packed]
    return b"".join(parts)


def unpack(data: memoryview, voxels: int, ratio: int | None = None) -> np.ndarray:
    """The array of a container.

    Args:
        data: the container.
        voxels: that it may have.
        ratio: unpacked bytes per packed byte that are believed; None where `voxels` is known to be
            right, as an empty mask packs to nothing.

    Raises:
        InputError: damaged, or a header that promises what the bytes do not hold.
        TooLargeError: more voxels than are taken.
    """
    import blosc2

    try:
        shape, dtype, chunks = _parse(data)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        msg = f"the array is damaged: {error}"
        raise InputError(msg) from None
    size = math.prod(shape)
    if size > voxels:
        msg = f"the array has {size} voxels, and {voxels} are taken here: crop it"
        raise TooLargeError(msg)
    claimed = size * dtype.itemsize
    if claimed != sum(length for length, _ in chunks):
        msg = f"the array of shape {shape} has another number of bytes than its chunks"
        raise InputError(msg)
    if ratio is not None and claimed > max(_FREE, ratio * len(data)):
        msg = f"{len(data)} bytes promise {claimed}: a decompression bomb"
        raise InputError(msg)
    out = np.empty(size, dtype)
    place = out.view(np.uint8).data
    start = 0
    for length, frame in chunks:
        try:
            # The frame says itself how much it unpacks to: that is checked before it may.
            if blosc2.get_cbuffer_sizes(frame)[:2] != (length, len(frame)):
                msg = "a chunk is not as long as it says"
                raise InputError(msg)
            place[start : start + length] = blosc2.decompress2(frame)
        except (RuntimeError, ValueError, TypeError) as error:
            msg = f"a chunk of the array is damaged ({type(error).__name__}): send it again"
            raise InputError(msg) from error
        start += length
    return out.reshape(shape)


_Chunk = tuple[int, memoryview]


def _parse(data: memoryview) -> tuple[tuple[int, ...], np.dtype, list[_Chunk]]:
    magic, version, codec, ndim, length = _HEAD.unpack_from(data)
    if magic != _MAGIC or version != _VERSION or codec not in _CODECS:
        msg = f"not an NNIA container of version {_VERSION}"
        raise ValueError(msg)
    at = _HEAD.size + length
    name = bytes(data[_HEAD.size : at]).decode("ascii")
    if name not in DTYPES or not 1 <= ndim <= 4:
        msg = f"{ndim} dimensions of {name[:20]!r} are not taken"
        raise ValueError(msg)
    shape = struct.unpack_from(f"<{ndim}q", data, at)
    if min(shape) < 0:
        msg = f"the shape {shape} is negative"
        raise ValueError(msg)
    return shape, np.dtype(name), list(_chunks(data, at + 8 * ndim))


def _chunks(data: memoryview, at: int) -> Iterator[_Chunk]:
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    for _ in range(count):
        unpacked, packed = struct.unpack_from("<QQ", data, at)
        at += 16
        frame = data[at : at + packed]
        if len(frame) != packed or packed < _FRAME_HEAD or unpacked > _CHUNK:
            msg = "a chunk is longer than what is there"
            raise ValueError(msg)
        yield unpacked, frame
        at += packed
