"""The table of formats: whoever goes by it gets a file of that kind, of the same voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vista3d.results import FORMATS, Labelled
from vista3d.volume import Volume

STARTS = {
    "application/gzip": b"\x1f\x8b",
    "application/octet-stream": b"NRRD0004",
    "application/zip": b"PK\x03\x04",
}


@pytest.fixture
def what() -> Labelled:
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[2:5, 2:5, 2:5] = 1
    volume = Volume.from_array(labels.astype(np.int16), np.diag([1.0, 2, 3, 1]))
    return Labelled(labels, volume, [1], "mini")


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if not f.of_dicom])
def test_each_is_written_as_the_table_says(tmp_path: Path, what: Labelled, name: str):
    format_ = FORMATS[name]
    written = format_.write(tmp_path / f"case{format_.ending}", what)
    assert written[0].name == f"case{format_.ending}"
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    if format_.media:
        assert written[0].read_bytes().startswith(STARTS[format_.media])
    else:
        assert [path.name for path in written[0].glob("*.nii.gz")] == ["liver.nii.gz"]
