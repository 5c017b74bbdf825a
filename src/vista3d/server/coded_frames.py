"""The size that a compressed DICOM frame states for itself.

Decoders allocate what the codestream says, not what the DICOM header says: a frame of a kilobyte
may claim 65535 x 65535 pixels.
"""

from __future__ import annotations

import struct

_J2K_START = b"\xff\x4f\xff\x51"
"""SOC and SIZ markers (ISO 15444-1 A.5.1)."""

_J2K_WITHIN = 512
"""Bytes in which the codestream begins, where a JP2 header stands before it."""

_JPEG_START = b"\xff\xd8"
_JPEG_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
"""SOF markers: JPEG (ISO 10918-1 table B.1) and JPEG-LS (ISO 14495-1 C.2.2)."""


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG 2000, JPEG-LS or JPEG frame; None for another or a damaged one."""
    start = frame[:_J2K_WITHIN].find(_J2K_START)
    if start >= 0 and len(frame) >= start + 24:
        right, bottom, left, top = struct.unpack(">4I", frame[start + 8 : start + 24])
        return bottom - top, right - left
    return _jpeg_size(frame) if frame.startswith(_JPEG_START) else None


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker in _JPEG_FRAMES:
            rows, columns = struct.unpack(">2H", frame[at + 5 : at + 9])
            return rows, columns
        at += 2 + length
    return None
