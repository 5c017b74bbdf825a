"""DICOM segmentations: every voxel where it was on every kind of grid, codes, colours, validity."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.config import IGNORE, disable_value_validation, settings

from tests.dicom import GRIDS, grid, validation_errors, write_enhanced, write_series
from vista3d.anatomy import by_id, new_structure
from vista3d.errors import InputError, UsageError
from vista3d.results import write_dicom_seg
from vista3d.results.dicom_source import values_as_they_are
from vista3d.volume import Volume, check_ct, read

LIVER, RIGHT_KIDNEY, SPLEEN, LEFT_CHEEK = 1, 5, 3, 172
SHAPE = (20, 16, 9)


@pytest.fixture
def labels() -> np.ndarray:
    """Nothing symmetric, so that no flip goes unnoticed; slices 0 and 8 are empty."""
    array = np.zeros(SHAPE, np.uint8)
    array[3:9, 4:7, 2:8] = LIVER
    array[10:19, 4:12, 5] = RIGHT_KIDNEY
    array[13:15, 6:9, 5] = 0
    array[17, 1:3, 1] = RIGHT_KIDNEY
    return array


def scan(folder: Path, kind: str = "axial", **attributes: object) -> Volume:
    values = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    return check_ct(read(write_series(folder, Volume(values, grid(kind)), **attributes)))


def placed(path: Path, volume: Volume) -> dict[str, np.ndarray]:
    """Masks by segment label on the volume's grid, by pydicom and the frames' own geometry."""
    data = pydicom.dcmread(path)
    shared = data.SharedFunctionalGroupsSequence[0]
    row_step, column_step = shared.PixelMeasuresSequence[0].PixelSpacing
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    names = {s.SegmentNumber: s.SegmentLabel for s in data.SegmentSequence}
    masks = {name: np.zeros(volume.array.shape, bool) for name in names.values()}
    frames = data.pixel_array
    for groups, frame in zip(data.PerFrameFunctionalGroupsSequence, frames, strict=True):
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        number = groups.get("SegmentIdentificationSequence")
        for value in np.unique(frame[frame > 0]):
            rows, columns = np.nonzero(frame == value)
            lps = (
                origin
                + columns[:, None] * float(column_step) * orientation[:3]
                + rows[:, None] * float(row_step) * orientation[3:]
            )
            voxels = volume.geometry.to_voxel(lps * [-1, -1, 1])
            np.testing.assert_allclose(voxels, voxels.round(), atol=2e-3)
            segment = number[0].ReferencedSegmentNumber if number else int(value)
            masks[names[segment]][tuple(voxels.round().astype(int).T)] = True
    return masks


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
@pytest.mark.parametrize("place", GRIDS)
def test_every_voxel_is_where_it_was(tmp_path: Path, labels: np.ndarray, place: str, kind: str):
    volume = scan(tmp_path / "ct", place)
    path = write_dicom_seg(
        tmp_path / "a.dcm", labels, volume, [LIVER, SPLEEN, RIGHT_KIDNEY], kind=kind
    )
    masks = placed(path, volume)
    np.testing.assert_array_equal(masks["liver"], labels == LIVER)
    np.testing.assert_array_equal(masks["right kidney"], labels == RIGHT_KIDNEY)
    assert "spleen" not in masks
    if kind == "binary":
        assert validation_errors(path) == []


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_an_enhanced_multi_frame_scan(tmp_path: Path, labels: np.ndarray, kind: str):
    plain = scan(tmp_path / "ct", "tilted")
    volume = read(write_enhanced(tmp_path / "enhanced.dcm", tmp_path / "ct"))
    np.testing.assert_array_equal(volume.array, plain.array)
    np.testing.assert_allclose(volume.affine, plain.affine, atol=1e-9)
    path = write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER, RIGHT_KIDNEY], kind=kind)
    masks = placed(path, volume)
    np.testing.assert_array_equal(masks["liver"], labels == LIVER)
    np.testing.assert_array_equal(masks["right kidney"], labels == RIGHT_KIDNEY)
    if kind == "binary":
        assert validation_errors(path) == []


def test_highdicom_finds_the_images_each_frame_belongs_to(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct", "tilted")
    path = write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER, RIGHT_KIDNEY])
    segmentation = hd.seg.segread(path)
    uids = [s.image.SOPInstanceUID for s in volume.meta.series.slices]
    stack = segmentation.get_pixels_by_source_instance(
        uids, assert_missing_frames_are_empty=True, combine_segments=True
    )
    np.testing.assert_array_equal(stack == 1, (labels == LIVER).transpose(2, 1, 0))
    np.testing.assert_array_equal(stack == 2, (labels == RIGHT_KIDNEY).transpose(2, 1, 0))


def test_another_decoder_reads_the_same_frames(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct")
    path = write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER, RIGHT_KIDNEY])
    by_gdcm = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(by_gdcm > 0, pydicom.dcmread(path).pixel_array > 0)


def test_the_label_map_type_has_its_own_class(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct")
    path = write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER], kind="labelmap")
    segmentation = hd.seg.segread(path)
    assert segmentation.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert segmentation.segmentation_type.value == "LABELMAP"


def test_codes_colours_and_the_makers(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct")
    lesion = new_structure(1001, "lesion 1")
    labels = labels.astype(np.uint16)
    labels[0, 0, :3], labels[1, 1, :3] = 1001, LEFT_CHEEK
    path = write_dicom_seg(
        tmp_path / "a.dcm", labels, volume, [LEFT_CHEEK, RIGHT_KIDNEY, lesion],
        makers={RIGHT_KIDNEY: "semiautomatic", 1001: "manual"}, model="mini",
    )  # fmt: skip
    cheek, kidney, found = pydicom.dcmread(path).SegmentSequence
    assert kidney.SegmentNumber == 2
    made = [segment.SegmentAlgorithmType for segment in (cheek, kidney, found)]
    assert made == ["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
    assert "SegmentAlgorithmName" not in found
    assert kidney.SegmentAlgorithmName == "mini"
    category, kind = (
        kidney.SegmentedPropertyCategoryCodeSequence[0],
        kidney.SegmentedPropertyTypeCodeSequence[0],
    )
    side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (category.CodeValue, kind.CodeValue, side.CodeValue) == (
        "123037004", "64033007", "24028007",
    )  # fmt: skip
    assert {category.CodingSchemeDesignator, kind.CodingSchemeDesignator} == {"SCT"}
    colour = hd.color.CIELabColor.from_dicom_value(kidney.RecommendedDisplayCIELabValue)
    np.testing.assert_allclose(colour.to_rgb(clip=True), by_id(RIGHT_KIDNEY).colour, atol=1)
    own = cheek.SegmentedPropertyTypeCodeSequence[0]
    assert by_id(LEFT_CHEEK).type is None
    assert (own.CodeValue, own.CodingSchemeDesignator) == ("172", "99VISTA3D")
    (scheme,) = pydicom.dcmread(path).CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99VISTA3D"
    assert found.SegmentLabel == "lesion 1"
    assert found.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Tissue"
    assert validation_errors(path) == []


def test_patient_and_study_stay_and_the_series_is_new(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct")
    source = volume.meta.series.images[0]
    data = pydicom.dcmread(write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER]))
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert data[keyword].value == source[keyword].value
    assert data.SeriesInstanceUID != source.SeriesInstanceUID
    assert data.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


def test_the_series_that_was_read_is_the_one_referred_to(tmp_path: Path, labels: np.ndarray):
    first, second = scan(tmp_path / "all" / "a"), scan(tmp_path / "all" / "b")
    wanted = first.meta.series.images[0].SeriesInstanceUID
    other = second.meta.series.images[0].SeriesInstanceUID
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "all")
    for place in (tmp_path / "all", archive):
        volume = read(place, series=wanted)
        path = write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER])
        refers = pydicom.dcmread(path).ReferencedSeriesSequence[0].SeriesInstanceUID
        assert refers == wanted
        assert refers != other


def test_names_in_any_script_and_with_backslashes(tmp_path: Path, labels: np.ndarray):
    item = pydicom.Dataset()
    item.PatientID, item.IssuerOfPatientID, item.TypeOfPatientID = "P2", "Zürich", "TEXT"
    written = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Ä",
               "StudyDescription": "Schädel", "OtherPatientIDsSequence": [item]}  # fmt: skip
    scan(tmp_path / "ct", **written)
    volume = read(tmp_path / "ct")
    named = [new_structure(LIVER, "肝臓 côté"), new_structure(RIGHT_KIDNEY, "left\\right " * 9)]
    for _ in range(2):  # the second finds the scan as the first did
        data = pydicom.dcmread(write_dicom_seg(tmp_path / "a.dcm", labels, volume, named))
    assert data.SpecificCharacterSet == "ISO_IR 192"
    assert (data.PatientName, data.StudyDescription) == ("Müller^Ä", "Schädel")
    assert data.OtherPatientIDsSequence[0].IssuerOfPatientID == "Zürich"
    first, second = data.SegmentSequence
    assert first.SegmentLabel == "肝臓 côté"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "肝臓 côté"
    assert second.SegmentLabel == ("left/right " * 9)[:64].rstrip()
    assert second.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == second.SegmentLabel
    source = volume.meta.series.images[0]
    assert (source.SpecificCharacterSet, source.PatientName) == ("ISO_IR 100", "Müller^Ä")
    assert validation_errors(tmp_path / "a.dcm") == []


def test_what_anonymisers_remove_is_left_empty(tmp_path: Path, labels: np.ndarray):
    scan(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        image = pydicom.dcmread(file)
        for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber", "StudyTime"):
            delattr(image, keyword)
        image.save_as(file)
    path = write_dicom_seg(tmp_path / "a.dcm", labels, read(tmp_path / "ct"), [LIVER])
    assert pydicom.dcmread(path).PatientID in ("", None)
    assert validation_errors(path) == []


def test_malformed_personal_data_is_left_empty_and_not_logged(
    tmp_path: Path,
    labels: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
):
    scan(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        with disable_value_validation():
            image = pydicom.dcmread(file)
            image.PatientBirthDate, image.PatientSex, image.StudyTime = "about 1950", "U", "99:99"
            image.AccessionNumber = "0123456789 0123456789"
            image.add_new("PatientWeight", "DS", "")
            image["PatientWeight"]._value = "heavy"
            image.save_as(file)
    caplog.clear()
    recwarn.clear()
    path = write_dicom_seg(tmp_path / "a.dcm", labels, read(tmp_path / "ct"), [LIVER])
    said = caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert "PatientBirthDate of the scan is malformed: left out" in said
    for value in ("1950", "heavy", "0123456789"):
        assert value not in said
    data = pydicom.dcmread(path)
    assert not data.PatientBirthDate
    assert not data.PatientSex
    assert data.PatientID == "P1"


def test_personal_data_is_checked_in_no_thread():
    first_left, second_in = threading.Event(), threading.Event()

    def second():
        with values_as_they_are():
            second_in.set()
            assert first_left.wait(10)
            modes.append((settings.reading_validation_mode, settings.writing_validation_mode))

    before = settings.reading_validation_mode, settings.writing_validation_mode
    modes, thread = [], threading.Thread(target=second)
    with values_as_they_are():
        thread.start()
        second_in.wait(0.2)  # it waits for the first
    first_left.set()
    thread.join(10)
    assert modes == [(IGNORE, IGNORE)]
    assert (settings.reading_validation_mode, settings.writing_validation_mode) == before


def test_images_of_a_private_class_are_refused(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct")
    for image in volume.meta.series.images:
        image.SOPClassUID = "1.3.46.670589.2.4.1.1"
    with pytest.raises(InputError, match=r"of the private class 1\.3\.46"):
        write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER])


def test_images_without_identity_are_refused(corpus: Path, tmp_path: Path):
    # The UIDs of this public series were emptied by whoever anonymised it.
    volume = read(corpus / "dicom" / "totalseg_slab")
    labels = (volume.array > 200).astype(np.uint8)
    with pytest.raises(InputError, match="lack StudyInstanceUID, SeriesInstanceUID"):
        write_dicom_seg(tmp_path / "a.dcm", labels, volume, [LIVER])
    assert not (tmp_path / "a.dcm").exists()


def test_refusals(tmp_path: Path, labels: np.ndarray):
    volume = scan(tmp_path / "ct")
    plain = Volume.from_array(volume.array, volume.affine)
    with pytest.raises(InputError, match="was read from array: DICOM results refer to"):
        write_dicom_seg(tmp_path / "a.dcm", labels, plain, [LIVER])
    with pytest.raises(UsageError, match="do not belong to a scan"):
        write_dicom_seg(tmp_path / "a.dcm", labels[1:], volume, [LIVER])
    with pytest.raises(InputError, match="nothing was found in 'ct'"):
        write_dicom_seg(tmp_path / "a.dcm", labels, volume, [SPLEEN])
    assert list(tmp_path.glob("*.dcm")) == []
