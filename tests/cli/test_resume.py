"""`vista3d segment --resume`: what is finished stays, what differs is done again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.fake import scan
from tests.dicom import grid, write_series
from vista3d.volume import Volume


def test_resume_skips_what_is_finished(run, model, tmp_path):
    a, b = scan(tmp_path / "in" / "a.nii.gz"), scan(tmp_path / "in" / "b.nii.gz")
    out = tmp_path / "out"
    assert run(a, "-o", out).code == 0
    before = (out / "a_seg.nii.gz").stat().st_mtime_ns
    outcome = run(a, b, "-o", out, "--resume", "--report", tmp_path / "r.json")
    assert outcome.code == 0, outcome.text
    assert model.calls == ["a", "b"]
    assert (out / "a_seg.nii.gz").stat().st_mtime_ns == before
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["states"] == {"finished": 1, "skipped": 1}
    assert run(a, b, "-o", out, "--resume").code == 0
    assert model.calls == ["a", "b"], "nothing left to do, so the model is not even loaded"
    assert len(model.loads) == 2


@pytest.mark.parametrize(
    "change",
    [
        "input",
        "classes",
        "weights",
        "preset",
        "modality",
        "lost output",
        "damaged report",
        "failed",
    ],
)
def test_resume_repeats_what_differs(run, model, tmp_path, monkeypatch, change):
    path, out = scan(tmp_path / "a.nii"), tmp_path / "out"
    assert run(path, "-o", out).code == 0
    options = []
    if change == "input":
        scan(path, seed=1)
    elif change == "classes":
        options = ["--classes", "liver"]
    elif change == "weights":
        (tmp_path / "weights" / "fake.safetensors").write_bytes(b"other weights")
    elif change == "preset":
        options = ["--preset", "paper"]
    elif change == "modality":
        options = ["--modality", "mr"]
    elif change == "lost output":
        (out / "a_seg.json").unlink()
    elif change == "damaged report":
        (out / "a_report.json").write_text('{"case": "a", "sta')
    else:
        report = json.loads((out / "a_report.json").read_text())
        (out / "a_report.json").write_text(json.dumps({**report, "state": "failed"}))
    assert run(path, "-o", out, "--resume", *options).code == 0
    assert model.calls == ["a", "a"]


def test_resume_repeats_another_series(run, model, tmp_path):
    folder, out = tmp_path / "study", tmp_path / "out"
    hu = np.random.default_rng(0).integers(-1000, 200, (8, 9, 5)).astype(np.int16)
    folder.mkdir()
    for uid in ("1.2.3", "1.2.4"):
        series = write_series(tmp_path / uid, Volume(hu, grid("axial")), SeriesInstanceUID=uid)
        for path in series.iterdir():
            path.rename(folder / f"{uid}-{path.name}")
    for uid in ("1.2.3", "1.2.4", "1.2.4"):
        assert run(folder, "-o", out, "--resume", "--series", uid).code == 0
    assert model.calls == ["study", "study"]


def test_resume_of_a_single_file_needs_a_report(run, model, tmp_path):
    path, out = scan(tmp_path / "a.nii"), tmp_path / "a_seg.nii.gz"
    report = tmp_path / "r.json"
    assert run(path, "-o", out, "--report", report).code == 0
    outcome = run(path, "-o", out, "--resume")
    assert outcome.code == 2
    assert "--resume with a single output file needs --report" in outcome.text
    assert run(path, "-o", out, "--resume", "--report", report).code == 0
    assert model.calls == ["a"]


def test_results_are_not_replaced_unasked(run, model, tmp_path):
    path, out = scan(tmp_path / "a.nii"), tmp_path / "out"
    assert run(path, "-o", out).code == 0
    outcome = run(path, "-o", out)
    assert outcome.code == 2
    assert "exists: add --overwrite to replace it, or --resume to keep" in outcome.text
    assert run(path, "-o", out, "--overwrite").code == 0
    assert model.calls == ["a", "a"]
