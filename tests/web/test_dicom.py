"""A DICOM series from a folder to every file that other programs read."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import highdicom as hd
import nrrd
import numpy as np
import pydicom
import pytest
import trimesh
from pydicom.uid import CTImageStorage, generate_uid
from skimage.draw import polygon2mask

from tests.web.annotator import Annotator
from tests.web.waiting import wait_until

COLOUR = (250, 60, 180)


@pytest.fixture
def series(corpus: Path, tmp_path: Path) -> Path:
    """The corpus' series with the identifiers that its anonymisation took."""
    folder = tmp_path / "series"
    folder.mkdir()
    of_all = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
    }
    for number, path in enumerate(sorted((corpus / "dicom" / "totalseg_slab").iterdir())):
        slice_ = pydicom.dcmread(path)
        for name, value in of_all.items():
            setattr(slice_, name, value)
        slice_.SOPClassUID = CTImageStorage
        slice_.SOPInstanceUID = generate_uid()
        slice_.save_as(folder / f"{number:03}.dcm")
    return folder


def test_a_folder_goes_in_and_every_format_comes_out(
    annotator: Annotator, series: Path, tmp_path: Path
) -> None:
    page = annotator.page
    page.goto("/")
    page.get_by_label("DICOM folder", exact=True).set_input_files(series)
    annotator.ready("Axial")
    number = annotator.new_object()
    annotator.key("b")
    page.get_by_role("checkbox", name="3D").check()
    page.get_by_label("Brush radius in millimetres").fill("15")
    annotator.stroke("b", annotator.place(0.5, 0.5), annotator.place(0.55, 0.5))
    page.get_by_label("Colour of object 1").fill("#{:02x}{:02x}{:02x}".format(*COLOUR))
    wait_until(lambda: tuple(annotator.state["objects"][0]["color"]) == COLOUR)
    mask = annotator.api.mask(annotator.session, number)
    affine = np.array(annotator.api.json(f"/studies/{annotator.state['study']}")["affine"])
    assert mask.sum() > 1000

    segmentation = pydicom.dcmread(annotator.download("DICOM SEG For PACS", tmp_path))
    assert segmentation.Modality == "SEG"
    assert int(segmentation.pixel_array.sum()) == mask.sum()
    (segment,) = segmentation.SegmentSequence
    shown = hd.color.CIELabColor.from_rgb(*COLOUR).value
    assert list(segment.RecommendedDisplayCIELabValue) == list(shown)

    labels = pydicom.dcmread(annotator.download("DICOM SEG, label map", tmp_path))
    assert labels.SegmentationType == "LABELMAP"
    assert int((labels.pixel_array > 0).sum()) == mask.sum()

    contours = pydicom.dcmread(annotator.download("DICOM RTSTRUCT", tmp_path))
    assert np.array_equal(_refilled(contours, affine, mask.shape), mask)
    assert tuple(contours.ROIContourSequence[0].ROIDisplayColor) == COLOUR

    values, header = nrrd.read(str(annotator.download("seg.nrrd", tmp_path)))
    assert np.array_equal(values > 0, mask)
    colour = [float(part) * 255 for part in header["Segment0_Color"].split()]
    assert np.allclose(colour, COLOUR, atol=0.01)

    with zipfile.ZipFile(annotator.download("STL", tmp_path)) as archive:
        (name,) = archive.namelist()
        with archive.open(name) as file:
            surface = trimesh.load(file, file_type="stl")
    voxels = np.argwhere(mask)
    corners = np.array([voxels.min(0) - 0.5, voxels.max(0) + 0.5]) @ affine[:3, :3].T
    box = np.sort(corners + affine[:3, 3], axis=0)
    assert np.abs(surface.bounds - box).max() < np.linalg.norm(affine[:3, :3], axis=0).max()
    assert surface.volume == pytest.approx(
        mask.sum() * abs(np.linalg.det(affine[:3, :3])), rel=0.03
    )


def _refilled(contours: pydicom.Dataset, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The voxels inside of the contours, holes left out."""
    mask = np.zeros(shape, bool)
    (region,) = contours.ROIContourSequence
    for contour in region.ContourSequence:
        lps = np.array(contour.ContourData, float).reshape(-1, 3)
        ras = np.c_[lps * [-1, -1, 1], np.ones(len(lps))]
        voxels = (ras @ np.linalg.inv(affine).T)[:, :3]
        k = round(voxels[0, 2])
        mask[:, :, k] ^= polygon2mask(shape[:2], voxels[:, :2])
    return mask


@pytest.mark.slow
def test_a_zip_goes_in_and_a_refused_export_says_why(
    annotator: Annotator, corpus: Path, tmp_path: Path
) -> None:
    page = annotator.page
    anonymous = corpus / "dicom" / "totalseg_slab"
    page.goto("/")
    page.get_by_label("Scan file").set_input_files(
        shutil.make_archive(str(tmp_path / "series"), "zip", anonymous)
    )
    annotator.ready("Axial")
    annotator.new_object()
    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="DICOM SEG For PACS").click()
    page.locator(".notice.error").wait_for()
    assert "SOPInstanceUID" in page.locator(".notice.error").inner_text()
