"""The size that a compressed DICOM frame states for itself.

Decoders allocate what the codestream says, not what the DICOM header says: a frame of a kilobyte
may claim 65535 x 65535 pixels.
"""

from __future__ import annotations

import struct

_J2K_START = b"\xff\x4f\xff\x51"
"""SOC and SIZ markers (ISO 15444-1 A.5.1)."""

_JP2_START = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
"""Signature box of a JP2 file (ISO 15444-1 I.5.1), whose boxes are followed to the codestream."""

_JPEG_START = b"\xff\xd8"
_JPEG_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
"""SOF markers: JPEG (ISO 10918-1 table B.1) and JPEG-LS (ISO 14495-1 C.2.2)."""


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG 2000, JPEG-LS or JPEG frame; None for another or a damaged one."""
    if frame.startswith(_JPEG_START):
        return _jpeg_size(frame)
    start = _codestream(frame) if frame.startswith(_JP2_START) else 0
    if not frame.startswith(_J2K_START, start) or len(frame) < start + 24:
        return None
    right, bottom, left, top = struct.unpack(">4I", frame[start + 8 : start + 24])
    return bottom - top, right - left


def _codestream(frame: bytes) -> int:
    """Where the first codestream box of a JP2 file has its content; the end where there is none."""
    at = 0
    while at + 16 <= len(frame):
        length, kind = struct.unpack(">I4s", frame[at : at + 8])
        head = 8
        if length == 1:
            (length,), head = struct.unpack(">Q", frame[at + 8 : at + 16]), 16
        if kind == b"jp2c":
            return at + head
        if length < head:  # 0: up to the end
            break
        at += length
    return len(frame)


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] == 0xFF:  # as many may fill up as like (ISO 10918-1 B.1.1.2)
            at += 1
            continue
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker in _JPEG_FRAMES:
            rows, columns = struct.unpack(">2H", frame[at + 5 : at + 9])
            return rows, columns
        at += 2 + length
    return None
