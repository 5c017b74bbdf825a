"""What `vista3d segment` refuses, before the model is loaded, and the words the user sees."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.cli.fake import files, scan, series
from vista3d.cli import segment as segment_module
from vista3d.network.weights import EMBEDDED


def test_an_unknown_class_is_refused_before_anything_is_read(run, model, tmp_path):
    outcome = run(tmp_path / "gone.nii", "-o", tmp_path / "out", "-c", "liver,spleeen")
    assert outcome.code == 2
    assert "unknown class 'spleeen': did you mean spleen" in outcome.text
    assert not model.loads


def test_a_class_that_the_model_lacks_is_refused_before_anything_is_read(
    run, model, tmp_path, monkeypatch
):
    monkeypatch.setattr("vista3d.network.weights.resolve", EMBEDDED.__getitem__)
    gone = tmp_path / "gone.nii"
    outcome = run(gone, "-o", tmp_path / "out", "-c", "left mandible")
    assert outcome.code == 2
    assert "was not trained on left mandible: see `vista3d classes --model mini`" in outcome.text
    outcome = run(gone, "-o", tmp_path / "out", "-c", "brain-stem,mandible")
    assert outcome.code == 2
    assert "unknown class 'mandible': the model was trained on nothing of a simi" in outcome.text
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


def _single_slice(path: Path) -> Path:
    return _values(path, np.arange(64, dtype=np.int16).reshape(8, 8, 1))


def _no_voxels(path: Path) -> Path:
    return _values(path, np.zeros((0, 8, 8), np.int16))


def _colour(path: Path) -> Path:
    return _values(path, np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


def _larger_than_its_voxels(path: Path) -> Path:
    """A header that promises three times the slices of the file."""
    scan(path)
    raw = bytearray(path.read_bytes())
    raw[46:48] = np.array([48], np.int16).tobytes()  # dim[3]
    path.write_bytes(bytes(raw))
    return path


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
        (_two_dimensional, "a.nii", "the image is 2D (shape (8, 8)): a 3D scan is needed"),
        (_single_slice, "a.nii", "a single slice (shape (8, 8, 1)): a 3D scan is needed, pass"),
        (_no_voxels, "a.nii", "the image is empty (shape (0, 8, 8))"),
        (_colour, "a.nii", "are not intensities: convert RGB or vectors to HU"),
        (_larger_than_its_voxels, "a.nii", "the file is truncated or damaged"),
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


def test_unevenly_spaced_slices_are_refused_with_the_place(run, model, tmp_path):
    folder = series(tmp_path / "ct", [0, 2, 4, 7.1, 9.1, 11.1])
    outcome = run(folder, "-o", tmp_path / "out")
    assert outcome.code == 4
    assert "slices are unevenly spaced: 2.00 mm apart, but not from 4.0 to 7.1 mm" in outcome.text
    assert not model.loads


def test_duplicate_slices_are_dropped_with_a_warning_or_refused(run, model, tmp_path):
    import pydicom

    folder = series(tmp_path / "ct", [0, 2, 4, 4, 6])
    outcome = run(folder, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.text
    assert "1 duplicate slices with identical pixels were left out" in outcome.text
    other = pydicom.dcmread(folder / "IM0003")
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(folder / "IM0003")
    outcome = run(folder, "-o", tmp_path / "other")
    assert outcome.code == 4
    assert "two different slices lie at 4.00 mm: the folder mixes reconstructions" in outcome.text


def test_a_tilted_gantry_is_segmented_on_its_own_sheared_grid(run, tmp_path):
    folder = series(tmp_path / "ct", [0, 2, 4, 6, 8], tilt=0.3)
    outcome = run(folder, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.text
    found = nib.load(tmp_path / "out" / "ct_seg.nii.gz").affine
    np.testing.assert_allclose(found[:3, 2], [0, -0.6, 2], atol=1e-5)
    outcome = run(folder, "-o", tmp_path / "ct.mha")
    assert outcome.code == 2
    assert "sheared, 'ct.mha' cannot hold them: use .nii.gz" in outcome.text


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


@pytest.mark.parametrize(
    "options",
    [["-o", "file"], ["-o", "file/deeper"], ["-o", "out", "--report", "file/run.json"]],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    run, model, tmp_path, monkeypatch, options
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    outcome = run(scan(tmp_path / "a.nii"), *options)
    assert outcome.code == 2
    assert "'file' is a file, choose another place" in outcome.text
    assert not model.loads
    assert not Path("out").exists()


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
    assert "'truth.nii' are not on the grid of the scan: corners lie up to 1.5 mm" in outcome.text
    smaller = scan(tmp_path / "small.nii", shape=(24, 20, 12))
    outcome = run(path, "-o", tmp_path / "out", "--truth", smaller)
    assert outcome.code == 4
    assert "'small.nii' have shape (24, 20, 12), the scan (24, 20, 16)" in outcome.text
    outcome = run(path, "-o", tmp_path / "out", "--truth", _four_dimensional(tmp_path / "4d.nii"))
    assert outcome.code == 4
    assert "the image is 4D" in outcome.text
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
