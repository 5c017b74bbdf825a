"""A DICOM series in: slices sorted by position, geometry taken from every slice.

The largest consistent series of a folder is read; the others are listed in the warnings. Gantry
tilt becomes a sheared affine. Missing slices and uneven spacing are refused with the positions:
filling them in would invent anatomy.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vista3d.errors import GeometryError, InputError
from vista3d.volume.itk import LPS_TO_RAS
from vista3d.volume.volume import Volume, VolumeMeta

if TYPE_CHECKING:
    from pydicom import Dataset

log = logging.getLogger(__name__)

_TOLERANCE = 0.1
"""Share of the slice distance by which neighbours may differ: rounding of ImagePositionPatient to
0.1 mm on 1 mm slices."""
_NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")


def read_dicom(files: Iterable[Path], name: str, series: str | None = None) -> Volume:
    """Read a series from files of any name.

    Args:
        files: candidates; those that are not DICOM images are passed over.
        name: what the volume is called in outputs; never taken from the patient.
        series: SeriesInstanceUID to read instead of the largest.

    Raises:
        InputError: no image series, or pixels that no installed codec decodes.
        GeometryError: missing, unevenly spaced or contradictory slices.
    """
    found = _series(files)
    if not found:
        msg = f"{name} holds no DICOM image with a position: pass the folder of one CT series"
        raise InputError(msg)
    if series is not None:
        chosen = [group for group in found if group[0].get("SeriesInstanceUID") == series]
        if not chosen:
            known = ", ".join(str(group[0].get("SeriesInstanceUID")) for group in found)
            msg = f"{name} has no series {series}: it has {known}"
            raise InputError(msg)
        slices, others = chosen[0], []
    else:
        slices, others = found[0], found[1:]
    warnings = [_describe(group) for group in others]
    if int(slices[0].get("NumberOfFrames", 1) or 1) > 1:
        msg = f"{name} is an enhanced multi-frame object: convert it to single-frame CT or NIfTI"
        raise InputError(msg)
    slices, repeated = _without_duplicates(slices)
    if repeated:
        warnings.append(f"{repeated} duplicate slices with identical pixels were left out")
    affine = _affine(slices)
    array = np.stack([_hounsfield(slice_) for slice_ in slices], axis=-1)
    modality = str(slices[0].get("Modality", ""))
    if modality and modality != "CT":
        warnings.append(f"modality {modality}: the models are made for CT")
    meta = VolumeMeta(name, "dicom", modality=modality, warnings=tuple(warnings))
    return Volume(array, affine, meta)


def _series(files: Iterable[Path]) -> list[list[Dataset]]:
    """Consistent groups of slices, the largest first."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    groups: dict[tuple[object, ...], list[Dataset]] = defaultdict(list)
    for path in sorted(files):
        try:
            data = pydicom.dcmread(path)
        except (InvalidDicomError, OSError, EOFError, ValueError) as error:
            log.debug("%s passed over: %s", path.name, error)
            continue
        if not all(key in data for key in _NEEDED) or "PixelData" not in data:
            continue
        if "LOCALIZER" in data.get("ImageType", ()):
            continue
        orientation = tuple(round(float(x), 3) for x in data.ImageOrientationPatient)
        groups[(data.get("SeriesInstanceUID"), data.Rows, data.Columns, orientation)].append(data)
    return sorted(groups.values(), key=len, reverse=True)


def _describe(slices: list[Dataset]) -> str:
    first = slices[0]
    return (
        f"another series was left out: number {first.get('SeriesNumber', '?')}, "
        f"{len(slices)} slices of {first.Columns} x {first.Rows}, "
        f"uid {first.get('SeriesInstanceUID')}"
    )


def _height(data: Dataset) -> float:
    """Position along the slice normal, mm."""
    row, column = np.array(data.ImageOrientationPatient, float).reshape(2, 3)
    return float(np.cross(row, column) @ np.array(data.ImagePositionPatient, float))


def _without_duplicates(slices: list[Dataset]) -> tuple[list[Dataset], int]:
    ordered = sorted(slices, key=_height)
    kept = ordered[:1]
    for data in ordered[1:]:
        if abs(_height(data) - _height(kept[-1])) > 1e-3:
            kept.append(data)
        elif data.PixelData != kept[-1].PixelData:
            msg = (
                f"two different slices lie at {_height(data):.2f} mm: the folder mixes "
                "reconstructions or time points, pass one series"
            )
            raise GeometryError(msg)
    return kept, len(ordered) - len(kept)


def _affine(slices: list[Dataset]) -> np.ndarray:
    """Voxel (column, row, slice) -> RAS+ mm; a constant drift of the origin becomes shear."""
    first = slices[0]
    row, column = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
    row_step, column_step = (float(x) for x in first.PixelSpacing)
    origins = np.array([data.ImagePositionPatient for data in slices], float)
    if len(slices) < 2:
        msg = "the series has a single slice: a 3D scan is needed"
        raise InputError(msg)
    heights = np.array([_height(data) for data in slices])
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    odd = np.flatnonzero(np.abs(gaps - usual) > _TOLERANCE * usual)
    if len(odd):
        at = ", ".join(f"{heights[i]:.1f} to {heights[i + 1]:.1f} mm" for i in odd[:5])
        ratios = gaps[odd] / usual
        whole = np.abs(ratios - ratios.round()).max() < _TOLERANCE and (ratios.round() > 1).all()
        kind = "slices are missing" if whole else "slices are unevenly spaced"
        msg = (
            f"{kind}: {usual:.2f} mm apart, but not from {at}. Export the series again, or "
            "resample it to even spacing"
        )
        raise GeometryError(msg)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * column_step, column * row_step
    affine[:3, 2] = (origins[-1] - origins[0]) / (len(slices) - 1)
    affine[:3, 3] = origins[0]
    return LPS_TO_RAS @ affine


def _hounsfield(data: Dataset) -> np.ndarray:
    """Pixels [column, row] in HU; int16 where slope and intercept are whole numbers."""
    try:
        pixels = data.pixel_array.T
    except Exception as error:  # pydicom raises a dozen types for undecodable pixels
        syntax = data.file_meta.TransferSyntaxUID.name
        msg = f"pixels compressed as {syntax} cannot be decoded ({error}): decompress the series"
        raise InputError(msg) from error
    slope = float(data.get("RescaleSlope", 1) or 1)
    intercept = float(data.get("RescaleIntercept", 0) or 0)
    if slope == 1 and intercept.is_integer():
        return np.asarray(
            np.clip(pixels.astype(np.int32) + int(intercept), -32768, 32767), np.int16
        )
    return np.asarray(pixels * np.float32(slope) + np.float32(intercept), np.float32)
