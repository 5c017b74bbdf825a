"""DICOM CT for tests: any grid, single-frame or enhanced, and the validator of dicom3tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from vista3d.volume import Volume

GRIDS = ("axial", "backwards", "oblique", "tilted")
NO_VALIDATOR = "dciodvfy is not installed: apt-get install dicom3tools (make test does it)"


def grid(kind: str) -> np.ndarray:
    """[4, 4] voxel -> RAS+ mm of a scanner: plain, slices from head to feet, oblique, tilted."""
    affine = np.diag([-0.7, -0.9, 2.5, 1.0])
    affine[:3, 3] = [20.25, 30.5, -100.125]
    if kind == "backwards":
        affine[2, 2] *= -1
    elif kind == "oblique":
        angle = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
        affine[:3, :3] = angle @ affine[:3, :3]
    elif kind == "tilted":
        affine[1, 2] = 0.6
    return affine


def write_series(folder: Path, volume: Volume, **attributes: object) -> Path:
    """A complete CT series of a volume; files are named so that their order says nothing.

    Args:
        folder: created.
        volume: HU (i, j, k) on any grid; i becomes the columns, j the rows.
        attributes: set on every slice, over what is there.
    """
    folder.mkdir(parents=True)
    study, series, frame_of_reference = generate_uid(), generate_uid(), generate_uid()
    lps = np.diag([-1, -1, 1, 1]) @ volume.affine
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    for k in range(volume.array.shape[2]):
        data = _header(study, series, frame_of_reference)
        data.InstanceNumber = k + 1
        data.ImagePositionPatient = [f"{x:.6f}" for x in lps[:3, 2] * k + lps[:3, 3]]
        data.ImageOrientationPatient = [f"{x:.8f}" for x in (lps[:3, :2] / steps[:2]).T.ravel()]
        data.PixelSpacing = [f"{steps[1]:.6f}", f"{steps[0]:.6f}"]
        data.SliceThickness = f"{steps[2]:.6f}"
        plane = volume.array[:, :, k].T
        data.Rows, data.Columns = plane.shape
        data.PixelData = (plane + 1024).astype(np.uint16).tobytes()
        for keyword, value in attributes.items():
            setattr(data, keyword, value)
        data.save_as(folder / f"{(k * 7919) % 1009:04d}", enforce_file_format=True)
    return folder


def _header(study: str, series: str, frame_of_reference: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = frame_of_reference, ""
    data.Modality, data.SeriesNumber, data.ImageType = "CT", 2, ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PatientName, data.PatientID = "Phantom^Tested", "P1"
    data.PatientBirthDate, data.PatientSex, data.AccessionNumber = "", "O", ""
    data.StudyID, data.StudyDate, data.StudyTime = "1", "20260102", "030405"
    data.ReferringPhysicianName, data.Manufacturer = "", "none"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
    data.KVP, data.AcquisitionNumber, data.PatientPosition = 120, 1, "HFS"
    return data


def write_enhanced(path: Path, series: Path) -> Path:
    """The images of a folder as one legacy converted enhanced CT, frames in the files' order."""
    import highdicom as hd

    images = [pydicom.dcmread(file) for file in sorted(series.iterdir())]
    enhanced = hd.legacy.LegacyConvertedEnhancedCTImage(
        images, generate_uid(), 3, generate_uid(), 1
    )
    enhanced.save_as(path)
    return path


def validation_errors(path: Path) -> list[str]:
    """What dciodvfy calls an error; the test is skipped where it is not installed."""
    if shutil.which("dciodvfy") is None:
        pytest.skip(NO_VALIDATOR)
    ran = subprocess.run(
        ["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=60
    )
    lines = (ran.stdout + ran.stderr).splitlines()
    return [line for line in lines if line.strip().startswith("Error")]
