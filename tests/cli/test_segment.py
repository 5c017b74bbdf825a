"""`vista3d segment` as a user meets it: files, messages, exit codes. The network is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK

from tests.cli.fake import LIVER, RIGHT_KIDNEY, files, scan
from vista3d import anatomy
from vista3d import volume as vol
from vista3d.results.label_map import write_label_map

ROOT = Path(__file__).parents[2]


# Outputs


def test_one_scan_into_a_folder(run, tmp_path):
    path = scan(tmp_path / "case_0000.nii.gz")
    outcome = run(path, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.text
    assert files(tmp_path / "out") == {"case_seg.nii.gz", "case_seg.json", "case_report.json"}
    image = nib.load(tmp_path / "out" / "case_seg.nii.gz")
    assert image.affine.tolist() == nib.load(path).affine.tolist()
    labels = np.asarray(image.dataobj)
    assert (labels == LIVER).sum() == 8 * 12 * 10
    assert (labels == RIGHT_KIDNEY).sum() == 6 * 6 * 8


def test_the_table_says_volume_density_and_truncation(run, tmp_path):
    outcome = run(scan(tmp_path / "a.nii"), "-o", tmp_path / "out")
    rows = {line.split("  ")[0].strip(): line for line in outcome.out.splitlines()}
    # 960 voxels of 6.75 mm3.
    assert rows["liver"].split() == ["liver", "6.5", "100", "inferior"]
    assert rows["right kidney"].split() == ["right", "kidney", "1.9", "200"]
    assert "not found: left kidney" in outcome.out


def test_the_table_shows_a_few_voxels_as_found(run, tmp_path):
    outcome = run(scan(tmp_path / "a.nii", affine=np.diag([0.1, 0.1, 1, 1])), "-o", tmp_path / "b")
    rows = {line.split("  ")[0].strip(): line for line in outcome.out.splitlines()}
    assert rows["liver"].split()[1] == "<0.1"
    report = json.loads((tmp_path / "b" / "a_report.json").read_text())
    assert report["structures"]["volume_ml"]["liver"] == pytest.approx(0.0096)


def test_every_format_and_extra_at_once(run, tmp_path):
    out = tmp_path / "out"
    path = scan(tmp_path / "a.nii.gz")
    formats = ["-f", "nifti", "-f", "per-class", "-f", "seg.nrrd"]
    outcome = run(
        path, "-o", out, *formats, "--statistics", "--preview", "--report", out / "r.json"
    )
    assert outcome.code == 0, outcome.text
    assert files(out) == {
        "a_seg.nii.gz",
        "a_seg.json",
        "a_seg",
        "a.seg.nrrd",
        "a_statistics.json",
        "a_statistics.csv",
        "a_preview.png",
        "a_report.json",
        "r.json",
    }
    assert files(out / "a_seg") == {
        "liver.nii.gz",
        "right_kidney.nii.gz",
        "left_kidney.nii.gz",
        "labels.json",
    }
    assert SimpleITK.ReadImage(str(out / "a.seg.nrrd")).GetSize() == (24, 20, 16)


@pytest.mark.parametrize("name", ["liver.nii.gz", "liver.seg.nrrd", "liver.mha"])
def test_one_scan_into_a_file(run, tmp_path, name):
    outcome = run(scan(tmp_path / "a.nii"), "-o", tmp_path / "out" / name, "-c", "liver")
    assert outcome.code == 0, outcome.text
    sidecar = set() if name.endswith("nrrd") else {"liver.json"}
    assert files(tmp_path / "out") == {name} | sidecar
    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out" / name)))
    assert set(np.unique(image)) == {0, LIVER}


def test_the_report_is_complete_and_holds_no_path(run, tmp_path):
    folder = tmp_path / "Doe^Jane"
    outcome = run(scan(folder / "a.nii"), "-o", tmp_path / "out", "--report", tmp_path / "r.json")
    assert outcome.code == 0
    text = (tmp_path / "r.json").read_text()
    report = json.loads(text)
    assert "Jane" not in text
    assert (report["exit_code"], report["states"]) == (0, {"finished": 1})
    case = report["cases"][0]
    assert case["input"]["name"] == "a.nii"
    assert case["geometry"]["shape"] == [24, 20, 16]
    assert case["settings"]["weights"]["name"] == "fake.safetensors"
    assert case["classes"][0] == {"id": 1, "name": "liver"}
    assert case["run"]["versions"] == {"torch": "2"}
    assert case["warnings"] == ["a warning of the run"]
    assert case["outputs"] == ["a_seg.nii.gz", "a_seg.json"]
    assert case["structures"]["truncated"] == ["liver"]
    assert json.loads((tmp_path / "out" / "a_report.json").read_text()) == case


def test_one_series_of_a_folder_is_chosen(run, tmp_path):
    from tests.cli.fake import series

    folder = series(tmp_path / "ct", [0.0, 2.0, 4.0, 6.0])
    other = series(tmp_path / "other", [0.0, 2.0, 4.0])
    for path in other.iterdir():
        uid = pydicom.dcmread(path).SeriesInstanceUID
        path.rename(folder / f"other_{path.name}")
    outcome = run(folder, "-o", tmp_path / "out", "--series", uid)
    assert outcome.code == 0, outcome.text
    assert nib.load(tmp_path / "out" / "ct_seg.nii.gz").shape[2] == 3
    assert run(folder, "-o", tmp_path / "out2", "--series", "1.2").code == 4
    assert run(scan(tmp_path / "a.nii"), "-o", tmp_path / "out3", "--series", uid).code == 4


def test_truth_adds_dice(run, tmp_path):
    path = scan(tmp_path / "a.nii")
    truth = np.zeros((24, 20, 16), np.uint8)
    truth[4:12, 4:16, 0:5] = LIVER
    nib.save(nib.Nifti1Image(truth, nib.load(path).affine), tmp_path / "truth.nii.gz")
    outcome = run(path, "-o", tmp_path / "out", "--truth", tmp_path / "truth.nii.gz")
    assert outcome.code == 0, outcome.text
    liver = next(line for line in outcome.out.splitlines() if line.strip().startswith("liver"))
    # Half of the liver: 2 x 0.5 / 1.5.
    assert liver.split()[-1] == "0.667"
    report = json.loads((tmp_path / "out" / "a_report.json").read_text())
    assert report["dice"]["1"] == pytest.approx(2 / 3)
    assert report["dice"]["5"] is None
    assert "not found: " in outcome.out
    assert "left kidney" in outcome.out.split("not found: ")[1]
    # By the names in the file, where it has some: there the liver is 5, and 1 something else.
    named = [replace(anatomy.by_id(LIVER), id=5), replace(anatomy.by_id(3), id=LIVER)]
    given = vol.Volume(truth, nib.load(path).affine)
    write_label_map(tmp_path / "named.nii.gz", np.where(truth, 5, LIVER), given, named)
    outcome = run(path, "-o", tmp_path / "out3", "--truth", tmp_path / "named.nii.gz")
    report = json.loads((tmp_path / "out3" / "a_report.json").read_text())
    assert report["dice"]["1"] == pytest.approx(2 / 3)


# Several scans


def test_a_folder_takes_one_model(run, model, tmp_path):
    for name in ("a", "b", "c"):
        scan(tmp_path / "in" / f"{name}.nii.gz")
    outcome = run(tmp_path / "in", "-o", tmp_path / "out", "-c", "liver")
    assert outcome.code == 0, outcome.text
    assert model.calls == ["a", "b", "c"]
    assert len(model.loads) == 1
    assert {f"{name}_seg.nii.gz" for name in "abc"} <= files(tmp_path / "out")
    assert outcome.out.count("finished") == 3


def test_a_bad_scan_does_not_stop_the_others(run, model, tmp_path):
    good, bad, last = (tmp_path / f"{name}.nii.gz" for name in ("a", "b", "c"))
    scan(good), scan(bad), scan(last)
    bad.write_bytes(bad.read_bytes()[:200])
    out = tmp_path / "out"
    outcome = run(good, bad, last, "-o", out, "--report", tmp_path / "r.json")
    assert outcome.code == 3
    assert "1 of 3 cases failed: b" in outcome.text
    assert "b: failed: b.nii.gz cannot be read" in outcome.text
    assert model.calls == ["a", "c"]
    assert files(out) == {
        "a_seg.nii.gz",
        "a_seg.json",
        "a_report.json",
        "b_report.json",
        "c_seg.nii.gz",
        "c_seg.json",
        "c_report.json",
    }
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["exit_code"] == 3
    assert [case["state"] for case in report["cases"]] == ["finished", "failed", "finished"]
    assert report["cases"][1]["error"]["exit_code"] == 4


def test_a_single_failure_keeps_its_own_code(run, model, tmp_path):
    model.fail_at = "a"
    outcome = run(scan(tmp_path / "a.nii"), "-o", tmp_path / "out")
    assert outcome.code == 5
    assert "needs 9.1 GiB, 2.0 GiB are free" in outcome.text
    assert all(path.endswith("_report.json") for path in files(tmp_path / "out"))


def test_an_unexpected_error_is_one_failed_case(run, model, tmp_path):
    model.break_at = "a"
    a, b = scan(tmp_path / "a.nii"), scan(tmp_path / "b.nii")
    outcome = run(a, b, "-o", tmp_path / "out")
    assert outcome.code == 3
    assert "b_seg.nii.gz" in files(tmp_path / "out")


# Cancelling


def test_a_cancelled_run_keeps_what_is_finished(run, model, tmp_path):
    model.cancel_at = "b"
    for name in ("a", "b", "c"):
        scan(tmp_path / "in" / f"{name}.nii")
    out = tmp_path / "out"
    outcome = run(tmp_path / "in", "-o", out, "--report", tmp_path / "r.json")
    assert outcome.code == 130
    assert "cancelled: 1 of 3 cases are finished; run again with --resume" in outcome.text
    assert files(out) == {"a_seg.nii.gz", "a_seg.json", "a_report.json", "b_report.json"}
    report = json.loads((tmp_path / "r.json").read_text())
    assert [case["state"] for case in report["cases"]] == ["finished", "cancelled"]
    model.cancel_at = ""
    assert run(tmp_path / "in", "-o", out, "--resume").code == 0
    assert model.calls == ["a", "b", "b", "c"]


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child needs a console on Windows")
def test_ctrl_c_ends_with_130_and_leaves_nothing_half_written(tmp_path):
    path, out = scan(tmp_path / "a.nii"), tmp_path / "out"
    script = [sys.executable, "-m", "tests.cli.fake", str(path), "-o", str(out)]
    child = subprocess.Popen(script, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    started = tmp_path / "started"
    deadline = time.monotonic() + 60
    while not started.exists():
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline, "the stand-in never started"
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "stopping after this step; press Ctrl-C again to stop at once" in err
    assert "Traceback" not in err
    assert files(out) == {"a_report.json"}


# The real network


def test_a_real_checkpoint_from_end_to_end(tmp_path, tiny_checkpoint, capsys):
    from vista3d.cli.main import main

    path, out = scan(tmp_path / "a.nii.gz"), tmp_path / "out"
    options = [
        "--model",
        str(tiny_checkpoint),
        "--device",
        "cpu",
        "--runtime",
        "torch",
        "--preview",
    ]
    with pytest.raises(SystemExit) as stop:
        main(["segment", str(path), "-o", str(out), *options])
    text = capsys.readouterr()
    assert not stop.value.code, text.err
    labels = np.asarray(nib.load(out / "a_seg.nii.gz").dataobj)
    assert labels.shape == (24, 20, 16)
    assert set(np.unique(labels)) <= {0, 1, 3, 5}
    report = json.loads((out / "a_report.json").read_text())
    assert [entry["id"] for entry in report["classes"]] == [1, 3, 5]
    assert report["run"]["model"] == "tiny"
    assert report["run"]["windows"] >= 1
    steps = report["run"]["seconds_by_step"]
    assert {"loading", "preparing", "segmenting", "labelling"} <= steps.keys()
    assert report["run"]["memory"]["predicted_gib"] > 0
    assert (out / "a_preview.png").stat().st_size > 1000
    assert "segmenting" in text.err
