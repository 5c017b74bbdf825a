"""Bad input: the message a user sees."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.volume.conftest import noise
from vista3d.errors import GeometryError, InputError
from vista3d.volume import Volume, check_ct, read, read_label_map


def _save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def _ct(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 500, shape).astype(np.int16)


def test_truncated_file(tmp_path: Path):
    path = _save(tmp_path / "a.nii.gz", _ct(20, 20, 20))
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match=r"a\.nii\.gz cannot be read as NIfTI .* truncated"):
        read(path)


def test_wrong_magic_missing_and_empty(tmp_path: Path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"not an image" * 100))
    with pytest.raises(InputError, match="cannot be read as NIfTI"):
        read(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "b.nii.gz")
    (tmp_path / "c.nii").touch()
    with pytest.raises(InputError, match="is empty"):
        read(tmp_path / "c.nii")
    (tmp_path / "d.txt").write_text("hello")
    with pytest.raises(InputError, match=r"of no known format: give \.nii"):
        read(tmp_path / "d.txt")
    (tmp_path / "e.nrrd").write_text("NRRD0004\nnonsense")
    with pytest.raises(InputError, match=r"e\.nrrd cannot be read"):
        read(tmp_path / "e.nrrd")


def test_a_scan_without_faults_stays_the_same_one(tmp_path: Path):
    whole = read(_save(tmp_path / "a.nii.gz", _ct(20, 20, 20)))
    assert check_ct(whole) is whole
    repaired = check_ct(Volume(np.where(_ct(8, 8, 8) > 400, np.nan, _ct(8, 8, 8)), np.eye(4)))
    assert len(repaired.meta.warnings) == 1
    assert check_ct(repaired) is repaired


def test_names_of_labels_are_read_from_the_file(tmp_path: Path):
    """As TotalSegmentator's nifti_ext_header.py writes them, and escaped, as others do."""
    table = """<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>
        <Date><![CDATA[2013-07-14T05:45:09]]></Date> <VolumeInformation Index="0"><LabelTable>
        <Label Key="0" Red="0" Green="0" Blue="0" Alpha="0"><![CDATA[background]]></Label>
        <Label Key="1" Red="0.1" Green="1" Blue="0" Alpha="1"><![CDATA[spleen]]></Label>
        <Label Key="300" Red="1" Green="0" Blue="0" Alpha="1">T &lt; 2 &amp; N</Label>
        <Label Key="70000" Red="1" Green="0" Blue="0" Alpha="1">too high</Label>
        <Label Key="7" Red="1"></Label></LabelTable></VolumeInformation></CaretExtension>"""
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint16), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, table.encode()))
    nib.save(image, tmp_path / "labels.nii.gz")
    labels = read(tmp_path / "labels.nii.gz")
    assert labels.meta.labels == {1: "spleen", 300: "T < 2 & N"}
    with pytest.raises(InputError, match=r"is a label map .*spleen.*: pass the scan"):
        check_ct(labels)
    assert not read(_save(tmp_path / "plain.nii", _ct(4, 4, 4))).meta.labels


def test_wrong_dimensions(tmp_path: Path):
    with pytest.raises(InputError, match=r"single slice .* pass the whole series"):
        check_ct(read(_save(tmp_path / "a.nii", _ct(20, 20, 1))))
    with pytest.raises(InputError, match=r"4D .*choose one of its 3 volumes with timepoint=0\.\.2"):
        check_ct(read(_save(tmp_path / "b.nii", _ct(9, 9, 9, 3))))
    assert check_ct(read(tmp_path / "b.nii", timepoint=1)).array.shape == (9, 9, 9)
    with pytest.raises(InputError, match=r"timepoint 7 is outside 0\.\.2"):
        read(tmp_path / "b.nii", timepoint=7)
    assert read(_save(tmp_path / "c.nii", _ct(9, 9, 9, 1))).geometry.shape == (9, 9, 9)
    colour = np.zeros((5, 5, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="convert RGB or vectors"):
        check_ct(read(_save(tmp_path / "d.nii", colour)))


def test_labels_in_colour_are_refused(tmp_path: Path):
    colour = np.zeros((5, 5, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match=r"labels 'a.nii': voxels of type .* one label per voxel"):
        read_label_map(_save(tmp_path / "a.nii", colour), None)


@pytest.mark.parametrize(("unit", "word"), [("micron", "micrometres"), ("meter", "metres")])
def test_lengths_that_are_not_in_mm_are_told(tmp_path: Path, unit: str, word: str):
    image = nib.Nifti1Image(_ct(5, 5, 5), np.diag([700.0, 700, 700, 1]))
    for name, expected in (("mm", 0), ("unknown", 0), (unit, 1)):
        image.header.set_xyzt_units(name)
        nib.save(image, tmp_path / "a.nii")
        warnings = read(tmp_path / "a.nii").meta.warnings
        assert len(warnings) == expected
    assert f"lengths in {word}, they are read as mm (voxels of 700 x 700 x 700)" in warnings[0]


def test_nan_constant_and_empty():
    array = _ct(6, 6, 6).astype(np.float32)
    array[0, 0, :3] = np.nan, np.inf, -np.inf
    checked = check_ct(Volume(array, np.eye(4)))
    assert np.isfinite(checked.array).all()
    assert "3 voxels were NaN or infinite" in checked.meta.warnings[0]
    assert checked.array[0, 0, 0] == np.nanmin(array[np.isfinite(array)])
    with pytest.raises(InputError, match="every voxel is NaN"):
        check_ct(Volume(np.full((4, 4, 4), np.nan), np.eye(4)))
    with pytest.raises(InputError, match=r"same value \(7\): there is nothing to segment"):
        check_ct(Volume(np.full((4, 4, 4), 7), np.eye(4)))
    with pytest.raises(InputError, match="empty"):
        check_ct(Volume(np.zeros((0, 4, 4)), np.eye(4)))


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 1, r"scaled to \[0, 1\]"),
        (0, 255, "8-bit grey"),
        (0, 4000, "rescale intercept"),
        (-100, 900, "no air"),
    ],
)
def test_intensities_that_are_not_hounsfield(low: int, high: int, text: str):
    array = np.linspace(low, high, 216, dtype=np.float32).reshape(6, 6, 6)
    (warning,) = check_ct(Volume(array, np.eye(4))).meta.warnings
    import re

    assert re.search(text, warning)


def test_plain_ct_has_no_warning():
    assert check_ct(noise((6, 6, 6), np.eye(4))).meta.warnings == ()


def test_singular_and_broken_affines(tmp_path: Path):
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    with pytest.raises(GeometryError, match="affine is singular"):
        check_ct(Volume(_ct(5, 5, 5), flat))
    with pytest.raises(GeometryError, match="not finite"):
        check_ct(Volume(_ct(5, 5, 5), np.diag([1.0, np.nan, 1.0, 1.0])))
    path = _save(tmp_path / "a.nii", _ct(5, 5, 5))
    header = bytearray(path.read_bytes())
    header[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    path.write_bytes(bytes(header))
    with pytest.raises(GeometryError, match="singular"):
        check_ct(read(path))


def test_conflicting_forms_are_stated(tmp_path: Path):
    image = nib.Nifti1Image(_ct(5, 5, 5), None)
    image.header.set_sform(np.diag([2.0, 2, 2, 1]), code=1)
    image.header.set_qform(np.eye(4), code=1)
    nib.save(image, tmp_path / "a.nii")
    volume = read(tmp_path / "a.nii")
    assert "qform and sform disagree" in volume.meta.warnings[0]
    assert volume.geometry.spacing == (2, 2, 2)
    content = bytearray(_save(tmp_path / "b.nii", _ct(5, 5, 5)).read_bytes())
    content[252:256] = bytes(4)  # qform_code, sform_code
    (tmp_path / "b.nii").write_bytes(bytes(content))
    assert "neither qform nor sform" in read(tmp_path / "b.nii").meta.warnings[0]


def test_integers_stay_integers_and_slopes_are_applied(tmp_path: Path):
    assert read(_save(tmp_path / "a.nii.gz", _ct(5, 5, 5))).array.dtype == np.int16
    image = nib.Nifti1Image(np.zeros((5, 5, 5), np.uint16), np.eye(4))
    image.header.set_slope_inter(1, -1024)
    raw = np.arange(125, dtype=np.uint16).reshape(5, 5, 5)
    nib.save(nib.Nifti1Image(raw, np.eye(4)), tmp_path / "b.nii")
    content = bytearray((tmp_path / "b.nii").read_bytes())
    content[112:120] = np.array([1, -1024], "<f4").tobytes()
    (tmp_path / "b.nii").write_bytes(bytes(content))
    shifted = read(tmp_path / "b.nii").array
    assert shifted.dtype == np.int16
    assert np.array_equal(shifted, raw.astype(np.int16) - 1024)
    content[112:116] = np.array([np.nan], "<f4").tobytes()
    (tmp_path / "b.nii").write_bytes(bytes(content))
    assert np.array_equal(read(tmp_path / "b.nii").array, raw)


def test_nrrd_and_metaimage_geometry(tmp_path: Path):
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(_ct(6, 5, 4))  # (k, j, i)
    image.SetSpacing((0.5, 0.7, 2.0))
    image.SetOrigin((10, 20, 30))
    for name in ("a.nrrd", "a.mha"):
        sitk.WriteImage(image, str(tmp_path / name))
        volume = read(tmp_path / name)
        assert volume.array.shape == (4, 5, 6)
        assert volume.geometry.orientation == "LPS"
        np.testing.assert_allclose(volume.geometry.to_world([[1, 0, 0]]), [[-10.5, -20, 30]])
        assert volume.array[3, 2, 1] == sitk.GetArrayFromImage(image)[1, 2, 3]


def test_zip_slip_and_bombs(tmp_path: Path):
    slip = tmp_path / "slip.zip"
    with zipfile.ZipFile(slip, "w") as archive:
        archive.writestr("../../evil.dcm", b"x")
    with pytest.raises(InputError, match="outside the archive: refused"):
        read(slip)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(10_000_000))
    with pytest.raises(InputError, match="decompression bomb"):
        read(bomb)
    (tmp_path / "no.zip").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="cannot be unpacked"):
        read(tmp_path / "no.zip")
