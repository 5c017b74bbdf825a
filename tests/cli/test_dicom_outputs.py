"""DICOM results from the command line: `vista3d segment` and `vista3d click`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.cli.fake import files, scan
from tests.dicom import grid, validation_errors, write_series
from vista3d.volume import Volume


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A tilted series with what the stand-in calls liver (100 HU) and right kidney (200 HU)."""
    values = np.full((24, 20, 16), -1000, np.int16)
    values[2:-2, 2:-2] = -100
    values[4:12, 4:16, 0:10] = 100
    values[14:20, 8:14, 4:12] = 200
    return write_series(tmp_path / "case", Volume(values, grid("tilted")))


def test_all_formats_of_a_series(run, ct: Path, tmp_path: Path):
    out = tmp_path / "out"
    formats = ["dicom-seg", "dicom-labelmap", "rtstruct", "stl"]
    outcome = run(ct, "-o", out, *(part for name in formats for part in ("-f", name)))
    assert outcome.code == 0, outcome.text
    assert files(out) == {
        "case_seg.dcm", "case_labelmap.dcm", "case_rtstruct.dcm", "case_stl.zip",
        "case_report.json",
    }  # fmt: skip
    segmentation = pydicom.dcmread(out / "case_seg.dcm")
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == ["liver", "right kidney"]
    assert segmentation.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert segmentation.SegmentSequence[0].SegmentAlgorithmName == "fake"
    assert segmentation.pixel_array.sum() == 8 * 12 * 10 + 6 * 6 * 8
    structures = pydicom.dcmread(out / "case_rtstruct.dcm")
    assert [r.ROIName for r in structures.StructureSetROISequence] == ["liver", "right kidney"]
    with zipfile.ZipFile(out / "case_stl.zip") as archive:
        assert archive.namelist() == ["liver.stl", "right_kidney.stl"]
    for name in ("case_seg.dcm", "case_rtstruct.dcm"):
        assert validation_errors(out / name) == []
    assert "Phantom" not in outcome.out + outcome.err + (out / "case_report.json").read_text()


def test_a_file_name_and_a_zip(run, ct: Path, tmp_path: Path):
    archive = tmp_path / "case.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for file in ct.iterdir():
            target.write(file, file.name)
    outcome = run(archive, "-o", tmp_path / "liver.dcm", "-f", "rtstruct", "-c", "liver")
    assert outcome.code == 0, outcome.text
    assert pydicom.dcmread(tmp_path / "liver.dcm").Modality == "RTSTRUCT"


def test_a_scan_that_is_not_dicom_is_refused_before_the_work(run, model, tmp_path: Path):
    path = scan(tmp_path / "a.nii.gz")
    outcome = run(path, "-o", tmp_path / "out", "-f", "dicom-seg")
    assert outcome.code == 4
    assert "'a' was read from nifti: DICOM results refer to the images" in outcome.text
    assert model.calls == []
    assert "a_seg.dcm" not in files(tmp_path / "out")


def test_in_a_batch_only_that_scan_fails(run, ct: Path, tmp_path: Path):
    outcome = run(scan(tmp_path / "a.nii.gz"), ct, "-o", tmp_path / "out", "-f", "dicom-seg")
    assert outcome.code == 3
    assert "case_seg.dcm" in files(tmp_path / "out")


def test_results_in_a_folder_of_slices_are_no_slices(run, ct: Path, tmp_path: Path):
    assert run(ct, "-o", ct, "-f", "dicom-seg", "-f", "rtstruct").code == 0
    again = run(ct, "-o", tmp_path / "again", "-f", "dicom-seg")
    assert again.code == 0, again.text
    assert (tmp_path / "again" / "case_seg.dcm").exists()


def test_clicks(click, ct: Path, tmp_path: Path):
    outcome = click(
        ct, "-o", tmp_path / "out", "--point", "8,10,5,+", "--new", "lesion 1",
        "-f", "dicom-seg", "-f", "rtstruct",
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    (segment,) = pydicom.dcmread(tmp_path / "out" / "case_seg.dcm").SegmentSequence
    assert segment.SegmentLabel == "lesion 1"
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    (region,) = pydicom.dcmread(tmp_path / "out" / "case_rtstruct.dcm").StructureSetROISequence
    assert region.ROIGenerationAlgorithm == "SEMIAUTOMATIC"
