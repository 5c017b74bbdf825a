"""The run report: complete, plain JSON, and without anything that names a patient."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.results.conftest import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY
from vista3d.errors import CancelledError, InputError
from vista3d.results import case_report, describe_source, statistics, write_report


def _report(**changes):
    values = {
        "case": "a",
        "source": {"name": "a.nii.gz", "bytes": 3, "sha256": "00"},
        "classes": (LIVER, RIGHT_KIDNEY),
        "settings": {"model": "mini"},
    }
    return case_report(**{**values, **changes})


def test_a_finished_case_sums_up_its_structures(labels, volume, tmp_path):
    rows = statistics(labels, volume, (LIVER, RIGHT_KIDNEY, LEFT_KIDNEY))
    outputs = [tmp_path / "Patient^Name" / "a_seg.nii.gz"]
    report = _report(geometry=volume.geometry, rows=rows, outputs=outputs)
    assert report["state"] == "finished"
    assert report["geometry"]["shape"] == [20, 16, 12]
    assert report["geometry"]["spacing_mm"] == pytest.approx([1.5, 2.0, 3.0])
    assert report["structures"]["found"] == 2
    assert report["structures"]["not_found"] == ["left kidney"]
    assert report["structures"]["truncated"] == ["right kidney"]
    assert report["structures"]["volume_ml"]["liver"] == rows[0].volume_ml
    assert report["outputs"] == ["a_seg.nii.gz"]
    assert "Patient" not in json.dumps(report)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (InputError("bad"), "failed", 4),
        (ValueError("odd"), "failed", 1),
        (CancelledError("stop"), "cancelled", 130),
    ],
)
def test_a_failure_is_told_with_its_code(error, state, code):
    report = _report(error=error)
    assert report["state"] == state
    assert report["error"] == {
        "type": type(error).__name__,
        "message": str(error),
        "exit_code": code,
    }


def test_numpy_values_become_plain_ones(tmp_path):
    run = {
        "time": np.float32(1.5),
        "shape": np.array([1, 2]),
        3: (np.int64(4), math.nan),
        "path": tmp_path,
    }
    path = write_report(tmp_path / "r.json", _report(run=run))
    saved = json.loads(path.read_text())["run"]
    assert saved == {"time": 1.5, "shape": [1, 2], "3": [4, None], "path": str(tmp_path)}


def test_a_source_is_known_by_its_content(tmp_path):
    first = tmp_path / "a.nii"
    first.write_bytes(b"abc")
    source = describe_source(first)
    assert source["name"] == "a.nii"
    assert source["bytes"] == 3
    assert source["sha256"].startswith("ba7816bf")
    first.write_bytes(b"abd")
    assert describe_source(first)["sha256"] != source["sha256"]


def test_a_folder_is_known_by_names_and_contents(tmp_path):
    (tmp_path / "1.dcm").write_bytes(b"x")
    (tmp_path / "2.dcm").write_bytes(b"y")
    before = describe_source(tmp_path)
    assert before["bytes"] == 2
    (tmp_path / "2.dcm").rename(tmp_path / "3.dcm")
    assert describe_source(tmp_path)["sha256"] != before["sha256"]
