"""Structure sets: filled again, the contours give back every voxel on every kind of grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from tests.dicom import GRIDS, grid, validation_errors, write_enhanced, write_series
from vista3d.anatomy import by_id, new_structure
from vista3d.errors import InputError
from vista3d.results import write_rtstruct
from vista3d.results.contours import outlines
from vista3d.volume import Volume, check_ct, read

LIVER, RIGHT_KIDNEY, COLON_CANCER = 1, 5, 27
SHAPE = (24, 18, 6)


@pytest.fixture
def labels() -> np.ndarray:
    """A block with two holes, one with an island in it; corners that touch; the border."""
    array = np.zeros(SHAPE, np.uint8)
    array[2:16, 3:14, 1:5] = LIVER
    array[4:9, 5:12, 2] = 0
    array[6, 7:9, 2] = LIVER
    array[11:14, 5:8, 2] = 0
    array[17, 3, 3] = array[18, 4, 3] = LIVER
    array[20:24, 14:18, 0:2] = RIGHT_KIDNEY
    array[0, 0, 5] = RIGHT_KIDNEY
    return array


def scan(folder: Path, kind: str = "axial", **attributes: object) -> Volume:
    values = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    return check_ct(read(write_series(folder, Volume(values, grid(kind)), **attributes)))


def filled(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Even-odd rule at the pixel centres: how many edges a ray to the right crosses."""
    rows, columns = np.indices(shape)
    inside = np.zeros(shape, bool)
    for (r0, c0), (r1, c1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if r0 == r1:
            continue
        spans = (r0 > rows) != (r1 > rows)
        inside ^= spans & (columns < c0 + (rows - r0) * (c1 - c0) / (r1 - r0))
    return inside


def refilled(path: Path, volume: Volume, combine: np.ufunc) -> dict[str, np.ndarray]:
    """Masks by name, the contours of a slice combined as different readers do."""
    data = pydicom.dcmread(path)
    names = {r.ROINumber: r.ROIName for r in data.StructureSetROISequence}
    masks = {}
    for region in data.ROIContourSequence:
        mask = masks.setdefault(names[region.ReferencedROINumber], np.zeros(SHAPE, bool))
        for contour in region.ContourSequence:
            lps = np.array(contour.ContourData, float).reshape(-1, 3)
            assert contour.NumberOfContourPoints == len(lps)
            voxels = volume.geometry.to_voxel(lps * [-1, -1, 1])
            (k,) = np.unique(voxels[:, 2].round(2))
            plane = mask[:, :, int(k)]
            combine(plane, filled(voxels[:, :2], plane.shape), out=plane)
    return masks


@pytest.mark.parametrize("combine", [np.logical_or, np.logical_xor])
@pytest.mark.parametrize("place", GRIDS)
def test_every_voxel_comes_back(tmp_path: Path, labels: np.ndarray, place: str, combine: np.ufunc):
    volume = scan(tmp_path / "ct", place)
    path = write_rtstruct(tmp_path / "a.dcm", labels, volume, [LIVER, 3, RIGHT_KIDNEY])
    masks = refilled(path, volume, combine)
    assert list(masks) == ["liver", "right kidney"]
    np.testing.assert_array_equal(masks["liver"], labels == LIVER)
    np.testing.assert_array_equal(masks["right kidney"], labels == RIGHT_KIDNEY)
    assert validation_errors(path) == []


def test_noise_comes_back_too():
    rng = np.random.default_rng(5)
    for share in (0.2, 0.5, 0.8):
        mask = rng.random((40, 30)) < share
        polygons = outlines(mask)
        again = np.zeros_like(mask)
        for polygon in polygons:
            again |= filled(polygon, mask.shape)
        np.testing.assert_array_equal(again, mask)
        # One polygon per island: face neighbours belong together, corners do not.
        assert len(polygons) == ndimage.label(mask)[1]


def test_straight_lines_have_no_points_between():
    mask = np.zeros((40, 40), bool)
    mask[5:30, 8:33] = True
    (polygon,) = outlines(mask)
    assert len(polygon) == 8  # four sides and four cut corners


def test_contours_name_their_images(tmp_path: Path, labels: np.ndarray):
    scan(tmp_path / "ct")
    volume = read(write_enhanced(tmp_path / "enhanced.dcm", tmp_path / "ct"))
    path = write_rtstruct(tmp_path / "a.dcm", labels, volume, [LIVER])
    (region,) = pydicom.dcmread(path).ROIContourSequence
    enhanced = pydicom.dcmread(tmp_path / "enhanced.dcm")
    for contour in region.ContourSequence:
        (image,) = contour.ContourImageSequence
        assert image.ReferencedSOPInstanceUID == enhanced.SOPInstanceUID
        groups = enhanced.PerFrameFunctionalGroupsSequence[image.ReferencedFrameNumber - 1]
        height = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        assert float(contour.ContourData[2]) == pytest.approx(height, abs=1e-3)
    assert validation_errors(path) == []


def test_names_colours_and_kinds(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct")
    labels = labels.astype(np.uint16)
    labels[0, 1, 0], labels[2, 1, 0] = COLON_CANCER, 1001
    ids = [RIGHT_KIDNEY, COLON_CANCER, new_structure(1001, "lesion 1")]
    path = write_rtstruct(tmp_path / "a.dcm", labels, volume, ids,
                          makers={RIGHT_KIDNEY: "semiautomatic", 1001: "manual"})  # fmt: skip
    data = pydicom.dcmread(path)
    assert [r.ROIName for r in data.StructureSetROISequence] == [
        "right kidney", by_id(COLON_CANCER).name, "lesion 1",
    ]  # fmt: skip
    made = [r.ROIGenerationAlgorithm for r in data.StructureSetROISequence]
    assert made == ["SEMIAUTOMATIC", "AUTOMATIC", "MANUAL"]
    assert tuple(data.ROIContourSequence[0].ROIDisplayColor) == by_id(RIGHT_KIDNEY).colour
    kinds = [o.RTROIInterpretedType or "" for o in data.RTROIObservationsSequence]
    assert kinds == ["ORGAN", "", ""]
    assert validation_errors(path) == []


def test_names_in_any_script_and_with_backslashes(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Ä")
    named = [new_structure(LIVER, "肝臓 côté"), new_structure(RIGHT_KIDNEY, "left\\right " * 9)]
    path = write_rtstruct(tmp_path / "a.dcm", labels, volume, named)
    data = pydicom.dcmread(path)
    assert (data.SpecificCharacterSet, data.PatientName) == ("ISO_IR 192", "Müller^Ä")
    cut = ("left/right " * 9)[:64].rstrip()
    assert [r.ROIName for r in data.StructureSetROISequence] == ["肝臓 côté", cut]
    codes = [o.RTROIIdentificationCodeSequence[0] for o in data.RTROIObservationsSequence]
    assert [code.CodeMeaning for code in codes] == ["肝臓 côté", cut]
    assert validation_errors(path) == []


def test_a_long_contour_is_kept_whole(tmp_path: Path):
    rng = np.random.default_rng(1)
    values = rng.integers(-1000, 1000, (160, 160, 2)).astype(np.int16)
    volume = check_ct(read(write_series(tmp_path / "ct", Volume(values, grid("axial")))))
    comb = np.zeros(values.shape, np.uint8)
    comb[::2], comb[:, 0] = LIVER, LIVER
    comb[1::2, 1::2, 0] = LIVER
    path = write_rtstruct(tmp_path / "a.dcm", comb, volume, [LIVER])
    (region,) = pydicom.dcmread(path).ROIContourSequence
    element = max((c["ContourData"] for c in region.ContourSequence), key=lambda e: e.VM)
    assert element.VR == "DS"
    assert len("\\".join(map(str, element.value))) > 65536


def test_nothing_found_is_refused(tmp_path: Path, labels: np.ndarray):
    with pytest.raises(InputError, match="nothing was found in 'ct'"):
        write_rtstruct(tmp_path / "a.dcm", labels, scan(tmp_path / "ct"), [3])
