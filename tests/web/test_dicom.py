"""A DICOM series from a folder to a DICOM SEG."""

from __future__ import annotations

import shutil
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import CTImageStorage, generate_uid

from tests.web.annotator import Annotator


@pytest.fixture
def series(corpus: Path, tmp_path: Path) -> Path:
    """The corpus' series with the identifiers that its anonymisation took."""
    folder = tmp_path / "series"
    folder.mkdir()
    of_all = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    for number, path in enumerate(sorted((corpus / "dicom" / "totalseg_slab").iterdir())):
        slice_ = pydicom.dcmread(path)
        for name, value in of_all.items():
            setattr(slice_, name, value)
        slice_.SOPClassUID = CTImageStorage
        slice_.SOPInstanceUID = generate_uid()
        slice_.save_as(folder / f"{number:03}.dcm")
    return folder


def test_a_folder_goes_in_and_a_dicom_seg_comes_out(
    annotator: Annotator, series: Path, tmp_path: Path
) -> None:
    page = annotator.page
    page.goto("/")
    page.get_by_label("DICOM folder", exact=True).set_input_files(series)
    annotator.ready("Axial")
    page.get_by_role("button", name="New object").click()
    page.locator(".object.active").wait_for()
    annotator.stroke("b", annotator.place(0.5, 0.5))
    voxels = int((annotator.labels > 0).sum())
    assert voxels > 10
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="DICOM SEG").click()
    path = tmp_path / "seg.dcm"
    download.value.save_as(path)
    segmentation = pydicom.dcmread(path)
    assert segmentation.Modality == "SEG"
    assert int(segmentation.pixel_array.sum()) == voxels


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
    page.get_by_role("button", name="New object").click()
    page.locator(".object.active").wait_for()
    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="DICOM SEG").click()
    page.locator(".notice.error").wait_for()
    assert "SOPInstanceUID" in page.locator(".notice.error").inner_text()
