"""Where results go, and what is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from vista3d.cli.outputs import choose_formats, plan
from vista3d.cli.writable import refuse_overwriting
from vista3d.errors import UsageError
from vista3d.results import FORMATS


def test_a_folder_holds_results_named_after_the_case():
    outputs = plan(Path("out"), "a", tuple(FORMATS), statistics=True, preview=True)
    assert [path.as_posix() for path in outputs.results()] == [
        "out/a_seg.nii.gz",
        "out/a_seg.json",
        "out/a_seg",
        "out/a.seg.nrrd",
        "out/a_seg.dcm",
        "out/a_labelmap.dcm",
        "out/a_rtstruct.dcm",
        "out/a_stl.zip",
        "out/a_statistics.json",
        "out/a_statistics.csv",
        "out/a_preview.png",
    ]
    assert outputs.report == Path("out/a_report.json")


@pytest.mark.parametrize(
    ("out", "formats", "first"),
    [
        ("x/liver.nii.gz", ("nifti",), "liver.nii.gz"),
        ("x/liver.mha", ("nifti",), "liver.mha"),
        ("x/liver.seg.nrrd", ("seg.nrrd",), "liver.seg.nrrd"),
        ("x/liver.nrrd", ("seg.nrrd",), "liver.nrrd"),
        ("x/liver.dcm", ("dicom-seg",), "liver.dcm"),
        ("x/liver.zip", ("stl",), "liver.zip"),
    ],
)
def test_a_file_name_decides_the_format(out, formats, first):
    assert choose_formats(Path(out), 1, ()) == formats
    outputs = plan(Path(out), "scan", formats, statistics=False, preview=True)
    assert outputs.results()[0] == Path("x") / first
    assert outputs.preview == Path("x/liver_preview.png")
    assert outputs.report is None


def test_a_dicom_file_holds_one_of_three_formats():
    assert choose_formats(Path("a.dcm"), 1, ("rtstruct",)) == ("rtstruct",)
    with pytest.raises(UsageError, match="only the format dicom-seg or dicom-labelmap or rtstruct"):
        choose_formats(Path("a.dcm"), 1, ("dicom-seg", "rtstruct"))


def test_a_folder_may_be_called_like_a_file(tmp_path):
    (tmp_path / "a.nii").mkdir()
    assert choose_formats(tmp_path / "a.nii", 3, ("per-class",)) == ("per-class",)


@pytest.mark.parametrize(
    ("out", "cases", "asked", "message"),
    [
        ("a.nii.gz", 2, (), "'a.nii.gz' is one file, but there are 2 scans"),
        ("a.nii.gz", 1, ("seg.nrrd",), "can hold only the format nifti"),
        ("a.nrrd", 1, ("seg.nrrd", "nifti"), "can hold only the format seg.nrrd"),
        ("a.mhd", 1, (), "would be two files: give .mha"),
        ("out", 1, ("dicom",), "unknown format 'dicom': choose from nifti, per-class, seg.nrrd"),
    ],
)
def test_contradictions_are_refused(out, cases, asked, message):
    with pytest.raises(UsageError, match=message):
        choose_formats(Path(out), cases, asked)


def test_a_result_is_replaced_only_when_asked(tmp_path):
    outputs = plan(tmp_path, "a", ("nifti",), statistics=False, preview=False)
    refuse_overwriting(outputs.results(), [], allowed=False)
    (tmp_path / "a_seg.nii.gz").write_bytes(b"corrected by hand")
    with pytest.raises(UsageError, match="exists: add --overwrite to replace it, or choose"):
        refuse_overwriting(outputs.results(), [], allowed=False)
    refuse_overwriting(outputs.results(), [], allowed=True)


def test_an_input_is_never_replaced(tmp_path):
    scan = tmp_path / "a.nii.gz"
    scan.write_bytes(b"scan")
    outputs = plan(scan, "a", ("nifti",), statistics=False, preview=False)
    with pytest.raises(UsageError, match="is an input: choose another place"):
        refuse_overwriting(outputs.results(), [scan], allowed=True)
