"""Boxes as bytes, and what is refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from vista3d.errors import UsageError
from vista3d.server.labels_wire import format_box, pack, parse_box, unpack_bool

BOX = (slice(1, 4), slice(0, 2), slice(2, 7))


def test_i_runs_fastest():
    values = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    sent = np.frombuffer(gzip.decompress(pack(values)), "<u2")
    assert sent[:2].tolist() == [values[0, 0, 0], values[1, 0, 0]]
    np.testing.assert_array_equal(sent.reshape(2, 3, 4, order="F"), values)


def test_a_stroke_comes_back():
    values = np.random.default_rng(0).random((3, 2, 5)) > 0.5
    np.testing.assert_array_equal(unpack_bool(pack(values.astype(np.uint8)), BOX), values)


def test_boxes_come_back():
    assert parse_box(format_box(BOX), (4, 2, 7)) == BOX


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"not gzip", "gzip"),
        (gzip.compress(bytes(29)), "30 voxels"),
        (gzip.compress(bytes(31)), "30 voxels"),
        (gzip.compress(bytes(30))[:-4], "30 voxels"),
        (gzip.compress(bytes(30)) + b"more", "30 voxels"),
        (gzip.compress(bytes([2] * 30)), "0 and 1"),
        (gzip.compress(bytes(20 * 2**20), 9), "30 voxels"),
    ],
    ids=["plain", "short", "long", "cut", "trailing", "values", "bomb"],
)
def test_bad_strokes_are_refused(data, word):
    with pytest.raises(UsageError, match=word):
        unpack_bool(data, BOX)
