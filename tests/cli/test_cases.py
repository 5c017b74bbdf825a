"""Which scans a command line names."""

from __future__ import annotations

from pathlib import Path

import pytest

from vista3d.cli.cases import cases_below, find_cases
from vista3d.errors import InputError, UsageError


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def dicom(path: Path) -> Path:
    return touch(path, b"\0" * 128 + b"DICM")


def names(*inputs: Path | str) -> list[str]:
    return [case.name for case in find_cases([str(text) for text in inputs])]


def test_files_keep_their_order_and_repeats_count_once(tmp_path):
    b, a = touch(tmp_path / "b.nii.gz"), touch(tmp_path / "a.mha")
    assert names(b, a, b) == ["b", "a"]


def test_a_folder_of_images_is_a_case_per_image(tmp_path):
    for name in ("b_0000.nii.gz", "a.nrrd", "c.zip", "notes.txt", ".hidden.nii"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["a", "b", "c"]


def test_dicom_slices_beside_images_are_left_out_and_named(tmp_path, caplog):
    touch(tmp_path / "a.nii.gz")
    dicom(tmp_path / "series" / "1")
    touch(tmp_path / "empty" / "notes.txt")
    assert names(tmp_path) == names(tmp_path) == ["a"]
    (told,) = caplog.messages
    assert "series' holds DICOM slices" in told


def test_results_in_a_folder_are_not_scans(tmp_path):
    for name in ("a.nii.gz", "a_seg.nii.gz", "a.seg.nrrd", "a_supervoxels.nii.gz"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a_seg.nii.gz") == ["a_seg"], "named outright, it is a scan"


def test_a_folder_of_slices_is_one_case(tmp_path):
    dicom(tmp_path / "ct" / "IM0001")
    dicom(tmp_path / "ct" / "IM0002")
    assert names(tmp_path / "ct") == ["ct"]


def test_a_folder_of_dicom_folders_is_a_case_per_folder(tmp_path):
    dicom(tmp_path / "p2" / "series" / "1")
    touch(tmp_path / "p1" / "1.dcm")
    touch(tmp_path / "p3" / "readme.txt")
    assert names(tmp_path) == ["p1", "p2"]


def test_patterns_are_expanded_where_the_shell_does_not(tmp_path):
    for name in ("a1.nii", "a2.nii", "b1.nii"):
        touch(tmp_path / name)
    assert names(tmp_path / "a*.nii") == ["a1", "a2"]


def test_equal_names_get_their_folder(tmp_path):
    one, two = touch(tmp_path / "p1" / "ct.nii"), touch(tmp_path / "p2" / "ct.nii")
    assert names(one, two) == ["p1_ct", "p2_ct"]


def test_names_that_stay_equal_are_refused(tmp_path):
    one, two = touch(tmp_path / "x" / "p" / "ct.nii"), touch(tmp_path / "y" / "p" / "ct.nii")
    with pytest.raises(UsageError, match="several inputs are called 'p_ct'"):
        find_cases([str(one), str(two)])


@pytest.mark.parametrize(
    ("text", "message"),
    [("gone.nii", "'gone.nii' does not exist"), ("gone*.nii", "no file matches the pattern")],
)
def test_what_does_not_exist_is_named(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        find_cases([text])


def test_a_folder_without_scans_says_what_it_looked_for(tmp_path):
    touch(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=r"holds no scan: neither DICOM slices nor .*\.nii\.gz"):
        find_cases([str(tmp_path)])


def test_everything_below_a_folder_is_offered_under_names_of_its_own(tmp_path):
    assert cases_below(tmp_path) == []
    for name in ("a.nii.gz", "a.nrrd", "b_0000.nii.gz", "p1/ct.nii.gz", "p2/x/ct.nii.gz"):
        touch(tmp_path / name)
    dicom(tmp_path / "beside" / "1")
    dicom(tmp_path / "p3" / "series" / "1")
    (tmp_path / "p1" / "round").symlink_to(tmp_path)
    found = {
        case.name: case.path.relative_to(tmp_path).as_posix() for case in cases_below(tmp_path)
    }
    assert found == {
        "a.nii.gz": "a.nii.gz", "a.nrrd": "a.nrrd", "b": "b_0000.nii.gz",
        "p1/ct.nii.gz": "p1/ct.nii.gz", "p2/x/ct.nii.gz": "p2/x/ct.nii.gz",
        "series": "p3/series",
    }  # fmt: skip
