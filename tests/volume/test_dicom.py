"""DICOM series: a real compressed one, and made ones with every fault."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from tests.dicom import GRIDS, grid, write_enhanced, write_series
from vista3d.errors import GeometryError, InputError
from vista3d.volume import Volume, check_ct, check_image, read

ROWS, COLUMNS = 6, 5


def _slice(
    folder: Path, number: int, position: tuple[float, float, float], series: str = "1.2.3", **more
) -> np.ndarray:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.Modality = series, more.pop("modality", "CT")
    data.ImagePositionPatient = list(position)
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.PixelSpacing = [0.8, 0.5]
    data.Rows, data.Columns = ROWS, COLUMNS
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    pixels = np.random.default_rng(number).integers(0, 2000, (ROWS, COLUMNS)).astype(np.uint16)
    data.PixelData = pixels.tobytes()
    for key, value in more.items():
        setattr(data, key, value)
    folder.mkdir(exist_ok=True)
    data.save_as(folder / f"{series}-{number}", enforce_file_format=True)
    return pixels


def test_geometry_and_values(tmp_path: Path):
    slices = [_slice(tmp_path / "s", n, (10, 20, 100 + 2.5 * n)) for n in (2, 0, 1)]
    volume = check_ct(read(tmp_path / "s"))
    assert volume.array.shape == (COLUMNS, ROWS, 3)
    np.testing.assert_allclose(volume.geometry.spacing, (0.5, 0.8, 2.5))
    np.testing.assert_allclose(volume.geometry.to_world([[0, 0, 0]]), [[-10, -20, 100]])
    np.testing.assert_allclose(volume.geometry.to_world([[2, 1, 2]]), [[-11, -20.8, 105]])
    assert volume.array.dtype == np.int16
    assert volume.array[3, 4, 2] == int(slices[0][4, 3]) - 1024


def test_largest_series_is_chosen_and_the_others_listed(tmp_path: Path):
    folder = tmp_path / "s.nii"  # as some converters call theirs
    for n in range(4):
        _slice(folder, n, (0, 0, n))
    for n in range(2):
        _slice(folder, n, (0, 0, n), series="1.2.9")
    (folder / "README.txt").write_text("no DICOM")
    volume = read(folder)
    assert volume.array.shape[2] == 4
    assert "uid 1.2.9" in volume.meta.warnings[0]
    assert read(folder, series="1.2.9").array.shape[2] == 2
    with pytest.raises(InputError, match="has no series 7"):
        read(folder, series="7")


def test_missing_slices(tmp_path: Path):
    for n in (0, 1, 2, 4, 5):
        _slice(tmp_path / "s", n, (0, 0, 3.0 * n))
    with pytest.raises(
        GeometryError, match=r"slices are missing: 3\.00 mm apart.*6\.0 to 12\.0 mm"
    ):
        read(tmp_path / "s")


def test_uneven_spacing(tmp_path: Path):
    for n, z in enumerate((0, 3, 6, 10.2, 13.2)):
        _slice(tmp_path / "s", n, (0, 0, z))
    with pytest.raises(GeometryError, match="slices are unevenly spaced"):
        read(tmp_path / "s")


def test_a_table_that_moved_sideways(tmp_path: Path):
    for n in range(20):
        _slice(tmp_path / "s", n, (0 if n < 10 else 50, 0, 2.0 * n))
    with pytest.raises(GeometryError, match=r"lies 2\d\.\d mm beside the line"):
        read(tmp_path / "s")


def test_pixels_of_two_sizes(tmp_path: Path):
    for n in range(6):
        size = [0.8, 0.5] if n < 3 else [1.2, 1.2]
        _slice(tmp_path / "s", n, (0, 0, 2.0 * n), PixelSpacing=size)
    with pytest.raises(GeometryError, match="pass one reconstruction"):
        read(tmp_path / "s")


def test_duplicates(tmp_path: Path):
    for n in range(3):
        _slice(tmp_path / "s", n, (0, 0, n))
    again = pydicom.dcmread(tmp_path / "s" / "1.2.3-1")
    again.save_as(tmp_path / "s" / "copy")
    volume = read(tmp_path / "s")
    assert volume.array.shape[2] == 3
    assert "1 duplicate slices" in volume.meta.warnings[0]
    _slice(tmp_path / "s", 77, (0, 0, 1))
    with pytest.raises(GeometryError, match=r"two different slices lie at 1\.00 mm"):
        read(tmp_path / "s")


def test_gantry_tilt_is_geometry(tmp_path: Path):
    for n in range(4):
        _slice(tmp_path / "s", n, (0, 0.7 * n, 3.0 * n))
    volume = read(tmp_path / "s")
    assert volume.geometry.is_sheared
    np.testing.assert_allclose(volume.geometry.to_world([[0, 0, 3]]), [[0, -2.1, 9]], atol=1e-6)


def test_enhanced_multi_frame(tmp_path: Path):
    values = np.random.default_rng(0).integers(-1000, 1000, (7, 6, 5)).astype(np.int16)
    for place in GRIDS:
        series = write_series(tmp_path / place, Volume(values, grid(place)))
        (tmp_path / f"{place}-enhanced").mkdir()
        path = write_enhanced(tmp_path / f"{place}-enhanced" / "a.dcm", series)
        plain, enhanced = read(series), read(path)
        np.testing.assert_array_equal(enhanced.array, plain.array)
        np.testing.assert_allclose(enhanced.affine, plain.affine, atol=1e-9)
        assert enhanced.meta.name == "a"
        assert enhanced.meta.series.frames == 5


def test_enhanced_with_a_missing_slice(tmp_path: Path):
    values = np.zeros((7, 6, 5), np.int16)
    series = write_series(tmp_path / "s", Volume(values, grid("axial")))
    next(f for f in series.iterdir() if pydicom.dcmread(f).InstanceNumber == 3).unlink()
    with pytest.raises(GeometryError, match=r"slices are missing: 2\.50 mm apart"):
        read(write_enhanced(tmp_path / "a.dcm", series))


def test_an_enhanced_object_that_lies(tmp_path: Path):
    values = np.zeros((7, 6, 5), np.int16)
    path = write_enhanced(
        tmp_path / "a.dcm", write_series(tmp_path / "s", Volume(values, grid("axial")))
    )
    whole = pydicom.dcmread(path)
    del whole.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence
    whole.save_as(tmp_path / "b.dcm")
    with pytest.raises(InputError, match="holds no DICOM image"):
        read(tmp_path / "b.dcm")
    whole = pydicom.dcmread(path)
    whole.NumberOfFrames = 3
    whole.PixelData = whole.PixelData[: 3 * 7 * 6 * 2]
    whole.save_as(tmp_path / "c.dcm")
    with pytest.raises(InputError, match="cannot be decoded"):
        read(tmp_path / "c.dcm")


def test_a_volume_keeps_its_series_without_pixels(tmp_path: Path):
    for n in (2, 0, 1):
        _slice(tmp_path / "s", n, (10, 20, 100 + 2.5 * n))
    series = read(tmp_path / "s").meta.series
    assert [slice_.height for slice_ in series.slices] == [100, 102.5, 105]
    assert all("PixelData" not in image for image in series.images)


def test_other_modality_and_localizer(tmp_path: Path):
    for n in range(3):
        _slice(tmp_path / "s", n, (0, 0, n), modality="MR")
    for n in range(9):
        _slice(
            tmp_path / "s", 50 + n, (0, 0, n), series="4.5",
            ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        )  # fmt: skip
    volume = read(tmp_path / "s")
    assert volume.array.shape[2] == 3
    assert volume.meta.modality == "MR"
    assert check_image(volume).meta.warnings == ()
    once = check_ct(volume)
    assert once.meta.warnings[0] == "modality MR, segmented as if it were CT"
    assert check_ct(once).meta.warnings == once.meta.warnings


def _cut(folder: Path, number: int, name: str, size: int | None = None) -> Path:
    """A slice of the series under a name with .dcm, of its first bytes."""
    _slice(folder, number, (0, 0, number))
    path = (folder / f"1.2.3-{number}").rename(folder / name)
    path.write_bytes(path.read_bytes()[:size])
    return path


@pytest.mark.parametrize(
    ("size", "reason"), [(0, ""), (60, "no DICOM file"), (300, ""), (-80, "ends before the pixels")]
)
def test_slices_that_are_cut_short_are_told(tmp_path: Path, size: int, reason: str):
    for n in range(4):
        _slice(tmp_path / "s", n, (0, 0, n))
    for n in (4, 5):
        _cut(tmp_path / "s", n, f"00{n}.dcm", size)
    (warning,) = read(tmp_path / "s").meta.warnings
    assert warning.startswith("2 files could not be used (first: 004.dcm: ")
    assert reason in warning
    assert warning.endswith("): the scan may be cut short")


def test_a_slice_without_a_position_is_told(tmp_path: Path):
    for n in range(4):
        _slice(tmp_path / "s", n, (0, 0, n))
    path = _cut(tmp_path / "s", 4, "4.dcm")
    image = pydicom.dcmread(path)
    del image.ImagePositionPatient
    image.save_as(path)
    (warning,) = read(tmp_path / "s").meta.warnings
    assert "1 file could not be used (first: 4.dcm: " in warning
    assert "ImagePositionPatient" in warning


def test_a_slice_that_may_not_be_read_is_told_without_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for n in range(4):
        _slice(tmp_path / "s", n, (0, 0, n))
    _cut(tmp_path / "s", 4, "4.dcm")
    opened = pydicom.dcmread

    def refuse(path: Path, **options: object) -> pydicom.Dataset:
        if path.name == "4.dcm":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, **options)

    monkeypatch.setattr(pydicom, "dcmread", refuse)
    (warning,) = read(tmp_path / "s").meta.warnings
    assert "(first: 4.dcm: Permission denied)" in warning


def test_what_is_no_slice_is_passed_over_without_a_word(tmp_path: Path):
    for n in range(4):
        _slice(tmp_path / "s", n, (0, 0, n))
    localizer = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    _slice(tmp_path / "s", 7, (0, 0, 0), ImageType=localizer)
    _slice(tmp_path / "s", 8, (0, 0, 0), series="5", ImagePositionPatient=None)  # dose report
    report = pydicom.dcmread(tmp_path / "s" / "1.2.3-1")
    del report.PixelData
    report.SeriesInstanceUID = "9.9"
    report.save_as(tmp_path / "s" / "report.dcm")
    (tmp_path / "s" / "._001.dcm").write_bytes(b"of macOS")
    (tmp_path / "s" / "notes.txt").write_text("of a colleague")
    assert read(tmp_path / "s").meta.warnings == ()


def test_colour_pictures_are_passed_over(tmp_path: Path):
    for n in range(3):
        _slice(
            tmp_path / "s", n, (0, 0, n), series="7", SamplesPerPixel=3, PlanarConfiguration=0,
            PhotometricInterpretation="RGB", BitsAllocated=8, BitsStored=8, HighBit=7,
            PixelData=bytes(ROWS * COLUMNS * 3),
        )  # fmt: skip
    with pytest.raises(InputError, match="no DICOM image of grey values"):
        read(tmp_path / "s")
    for n in range(2):
        _slice(tmp_path / "s", n, (0, 0, n))
    assert read(tmp_path / "s").array.shape[2] == 2


def test_no_image_at_all(tmp_path: Path):
    (tmp_path / "s").mkdir()
    with pytest.raises(InputError, match="holds no DICOM image"):
        read(tmp_path / "s")
    _slice(tmp_path / "one", 0, (0, 0, 0))
    with pytest.raises(InputError, match="single slice"):
        read(tmp_path / "one")


def test_real_jpeg2000_series_equals_its_nifti(corpus: Path, tmp_path: Path):
    folder = corpus / "dicom" / "totalseg_slab"
    volume = check_ct(read(folder))
    nifti = read(corpus / "Dataset103_TorsoPseudo/imagesTr/totalseg_slab_0000.nii.gz")
    assert volume.array.shape == nifti.array.shape
    corners = [[0, 0, 0], [n - 1 for n in volume.array.shape]]
    a = np.sort(volume.geometry.to_world(corners), axis=0)
    b = np.sort(nifti.geometry.to_world(corners), axis=0)
    np.testing.assert_allclose(a, b, atol=0.1)
    world = volume.geometry.to_world([[200, 250, 7], [300, 200, 12]])
    there = np.round(nifti.geometry.to_voxel(world)).astype(int)
    assert [volume.array[200, 250, 7], volume.array[300, 200, 12]] == [
        nifti.array[tuple(v)] for v in there
    ]
    archive = tmp_path / "slab.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for file in folder.iterdir():
            target.write(file, f"series/{file.name}")
    assert np.array_equal(read(archive).array, volume.array)
    assert read(archive).meta.name == "slab"
