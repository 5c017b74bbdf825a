"""What `vista3d segment` refuses, before the model is loaded, and the words the user sees."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.cli.fake import files, scan, series
from vista3d.cli import segment as segment_module


def test_an_unknown_class_is_refused_before_anything_is_read(run, model, tmp_path):
    outcome = run(tmp_path / "gone.nii", "-o", tmp_path / "out", "-c", "liver,spleeen")
    assert outcome.code == 2
    assert "unknown class 'spleeen': did you mean spleen" in outcome.text
    assert not model.loads


def test_missing_weights_are_told_with_the_remedy(run, model, tmp_path, monkeypatch):
    from vista3d.errors import WeightsError

    def missing(name):
        msg = f"no weights called {name!r}: run 'vista3d download'"
        raise WeightsError(msg)

    monkeypatch.setattr("vista3d.network.weights.resolve", missing)
    outcome = run(scan(tmp_path / "a.nii"), "-o", tmp_path / "out", "-m", "official")
    assert outcome.code == 6
    assert "run 'vista3d download'" in outcome.text


def _truncated(path: Path) -> Path:
    scan(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def _empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def _text(path: Path) -> Path:
    path.write_text("this is not an image")
    return path


def _values(path: Path, values: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return path


def _all_nan(path: Path) -> Path:
    return _values(path, np.full((8, 8, 8), np.nan, np.float32))


def _constant(path: Path) -> Path:
    return _values(path, np.full((8, 8, 8), 7, np.int16))


def _two_dimensional(path: Path) -> Path:
    return _values(path, np.zeros((8, 8), np.int16))


def _four_dimensional(path: Path) -> Path:
    return _values(path, np.zeros((8, 8, 8, 3), np.int16))


def _singular(path: Path) -> Path:
    scan(path)
    image = nib.load(path)
    raw = bytearray(path.read_bytes())
    # srow_y of the header (bytes 296 to 311) becomes a copy of srow_x, sform_code 1.
    raw[296:312] = raw[280:296]
    raw[252:256] = np.array([0, 1], np.int16).tobytes()
    assert image.header["sizeof_hdr"] == 348
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (_truncated, "a.nii.gz", "a.nii.gz cannot be read as NIfTI"),
        (_truncated, "a.nii", "the file is truncated or damaged"),
        (_empty, "a.nii.gz", "a.nii.gz is empty (0 bytes)"),
        (_text, "a.nii", "a.nii cannot be read as NIfTI"),
        (_text, "a.nrrd", "a.nrrd cannot be read"),
        (_text, "a.zip", "a.zip cannot be unpacked"),
        (_text, "a.png", "a.png is of no known format: give .nii, .nii.gz"),
        (_all_nan, "a.nii", "every voxel is NaN or infinite"),
        (_constant, "a.nii", "every voxel has the same value (7)"),
        (_two_dimensional, "a.nii", "a 3D scan is needed"),
        (_four_dimensional, "a.nii", "the image is 4D (shape (8, 8, 8, 3)): choose one of its 3"),
        (_singular, "a.nii", "the affine is singular"),
    ],
)
def test_bad_files_are_refused_in_plain_words(run, model, tmp_path, make, name, words):
    outcome = run(make(tmp_path / name), "-o", tmp_path / "out")
    assert outcome.code == 4, outcome.text
    assert words in outcome.text
    assert "Traceback" not in outcome.text
    assert not model.loads, "bad input is told before the model is loaded"
    assert all(path.endswith("_report.json") for path in files(tmp_path / "out"))


def test_a_series_with_missing_slices_is_refused_with_the_place(run, model, tmp_path):
    folder = series(tmp_path / "ct", [0, 2, 4, 6, 10, 12, 14])
    outcome = run(folder, "-o", tmp_path / "out")
    assert outcome.code == 4
    assert "slices are missing: 2.00 mm apart, but not from 6.0 to 10.0 mm" in outcome.text
    assert not model.loads
    assert "Jane" not in (tmp_path / "out" / "ct_report.json").read_text()


def test_a_complete_series_is_segmented(run, model, tmp_path):
    outcome = run(series(tmp_path / "ct", [0, 2, 4, 6, 8]), "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.text
    assert files(tmp_path / "out") == {"ct_seg.nii.gz", "ct_seg.json", "ct_report.json"}


def test_sheared_axes_and_metaimage_are_refused_before_the_model(run, model, tmp_path):
    affine = np.array([[1, 0, 0, 0], [0, 1, 0.4, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    path = scan(tmp_path / "a.nii", affine=affine)
    outcome = run(path, "-o", tmp_path / "liver.mha")
    assert outcome.code == 2
    assert "sheared, 'liver.mha' cannot hold them: use .nii.gz" in outcome.text
    assert not model.loads


def test_missing_files_are_refused_before_anything_is_done(run, model, tmp_path):
    good = scan(tmp_path / "a.nii")
    outcome = run(good, tmp_path / "gone.nii", "-o", tmp_path / "out")
    assert outcome.code == 4
    assert "gone.nii' does not exist" in outcome.text
    assert not (tmp_path / "out").exists()


def test_some_nan_voxels_are_repaired_and_told(run, tmp_path):
    path = scan(tmp_path / "a.nii", dtype=np.float32)
    image = nib.load(path)
    values = np.asarray(image.dataobj).copy()
    values[0, 0, :3] = np.nan
    nib.save(nib.Nifti1Image(values, image.affine), path)
    assert run(path, "-o", tmp_path / "out").code == 0
    report = json.loads((tmp_path / "out" / "a_report.json").read_text())
    assert "3 voxels were NaN or infinite and were set to -1000" in report["warnings"][0]


def test_intensities_that_are_not_hu_are_segmented_with_a_warning(run, tmp_path):
    path = scan(tmp_path / "a.nii", dtype=np.float32)
    image = nib.load(path)
    values = (np.asarray(image.dataobj) + 1000) / 2000
    nib.save(nib.Nifti1Image(values.astype(np.float32), image.affine), path)
    outcome = run(path, "-o", tmp_path / "out")
    assert outcome.code == 0
    assert "not Hounsfield units" in outcome.text


def test_a_truth_on_another_grid_is_refused_before_the_model(run, model, tmp_path):
    path = scan(tmp_path / "a.nii")
    truth = scan(tmp_path / "truth.nii", affine=np.diag([-1.5, -1.5, 2.9, 1]))
    outcome = run(path, "-o", tmp_path / "out", "--truth", truth)
    assert outcome.code == 4
    assert "truth.nii' (24, 20, 16) is not on the grid of the scan" in outcome.text
    assert not model.loads


def test_a_truth_that_is_an_image_is_refused(run, tmp_path):
    path = scan(tmp_path / "a.nii")
    outcome = run(path, "-o", tmp_path / "out", "--truth", scan(tmp_path / "t.nii", seed=1))
    assert outcome.code == 4
    assert "'t.nii' is not a label map: its values run from -1000" in outcome.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-c", " , "], "--classes names no class"),
        (["-f", "dicom"], "unknown format 'dicom'"),
        (["--truth", "t.nii"], "--truth belongs to one scan, but there are 2"),
        (["-o", "one.nii.gz"], "'one.nii.gz' is one file, but there are 2 scans"),
        (["--runtime", "tensorflow"], "tensorflow"),
    ],
)
def test_wrong_usage_is_code_2(run, model, tmp_path, options, words):
    a, b = scan(tmp_path / "a.nii"), scan(tmp_path / "b.nii")
    outcome = run(a, b, "-o", tmp_path / "out", *options)
    assert outcome.code == 2
    assert words in outcome.text
    assert not model.calls


def test_help_names_the_exit_codes(run):
    outcome = run("--help")
    assert outcome.code == 0
    for word in ("3 some cases failed", "130 cancelled", "--resume", "per-class"):
        assert word in outcome.text


def test_the_module_stays_light():
    assert "numpy" not in vars(segment_module)
