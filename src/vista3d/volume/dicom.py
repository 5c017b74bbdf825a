"""A DICOM series in: slices sorted by position, geometry taken from every slice.

The largest consistent series of a folder is read, single-frame or enhanced multi-frame; the others
are listed in the warnings, and so are files that may belong to it and cannot be used. Gantry tilt
becomes a sheared affine. Missing slices and uneven spacing are refused with the positions: filling
them in would invent anatomy.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vista3d.errors import GeometryError, InputError
from vista3d.volume.dicom_file import is_dicom
from vista3d.volume.dicom_series import DicomSeries, Slice, slices_of
from vista3d.volume.itk import LPS_TO_RAS
from vista3d.volume.volume import Volume, VolumeMeta
from vista3d.wording import counted

if TYPE_CHECKING:
    from pydicom import Dataset

log = logging.getLogger(__name__)

_TOLERANCE = 0.1
"""Share of the slice distance by which neighbours may differ: rounding of ImagePositionPatient to
0.1 mm on 1 mm slices."""
_ASTRAY = 0.5
"""mm that a slice may lie beside the line through the first and the last: half a small pixel."""
_LARGE = 4096
"""Bytes from which on values, pixels above all, are read when they are used: a study's folder holds
several series, of which one is read."""
_MALFORMED = (AttributeError, TypeError, ValueError)
"""What pydicom and numpy raise for values that are missing or not what the standard says."""


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
    found, unused = _series(files)
    if not found:
        msg = (
            f"{name} holds no DICOM image of grey values with a position: pass the folder of one "
            "CT series"
        )
        raise InputError(msg + (f" ({_told(unused)})" if unused else ""))
    if series is not None:
        chosen = [group for group in found if group[0].image.get("SeriesInstanceUID") == series]
        if not chosen:
            known = ", ".join(str(group[0].image.get("SeriesInstanceUID")) for group in found)
            msg = f"{name} has no series {series}: it has {known}"
            raise InputError(msg)
        slices, others = chosen[0], []
    else:
        slices, others = found[0], found[1:]
    uid = slices[0].image.get("SeriesInstanceUID")
    lost = [file for file in unused if file.series in (None, uid)]
    warnings = [f"{_told(lost)}: the scan may be cut short"] if lost else []
    warnings += [_describe(group) for group in others]
    slices, repeated = _without_duplicates(slices)
    if repeated:
        warnings.append(f"{repeated} duplicate slices with identical pixels were left out")
    affine = _affine(slices)
    array = _stacked(slices)
    modality = str(slices[0].image.get("Modality", ""))
    meta = VolumeMeta(
        name,
        "dicom",
        modality=modality,
        warnings=tuple(warnings),
        series=DicomSeries.of(slices),
    )
    return Volume(array, affine, meta)


@dataclass(frozen=True)
class _Unused:
    """A file that looks like a slice and is none: its name, why, and its series if it says one."""

    name: str
    reason: str
    series: object = None


def _told(files: list[_Unused]) -> str:
    first = files[0]
    return f"{counted(len(files), 'file')} could not be used (first: {first.name}: {first.reason})"


def _series(files: Iterable[Path]) -> tuple[list[list[Slice]], list[_Unused]]:
    """Consistent groups of slices, the largest first; every multi-frame object is its own."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    groups: dict[tuple[object, ...], list[Slice]] = defaultdict(list)
    unused: list[_Unused] = []
    for path in sorted(files):
        try:
            image = pydicom.dcmread(path, defer_size=_LARGE)
        except (InvalidDicomError, OSError, EOFError, *_MALFORMED) as error:
            log.debug("%s passed over: %s", path.name, error)
            if is_dicom(path):
                foreign = isinstance(error, InvalidDicomError)
                reason = "it is no DICOM file" if foreign else _reason(error)
                unused.append(_Unused(path.name, reason))
            continue
        try:
            slices, reason = slices_of(image), _lacking(image)
        except _MALFORMED as error:
            slices, reason = [], _reason(error)
        if reason:
            unused.append(_Unused(path.name, reason, image.get("SeriesInstanceUID")))
        for slice_ in slices:
            orientation = tuple(np.concatenate([slice_.row, slice_.column]).round(3))
            whole = None if slice_.frame is None else image.get("SOPInstanceUID")
            uid = image.get("SeriesInstanceUID")
            groups[(uid, whole, image.Rows, image.Columns, orientation)].append(slice_)
    return sorted(groups.values(), key=len, reverse=True), unused


def _reason(error: Exception) -> str:
    """What an error says, without the path that errors of the system carry."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _lacking(image: Dataset) -> str:
    """Why an object holds no slice, or ""; a report does neither, in a series of its own."""
    whole = "PixelData" in image or "DirectoryRecordSequence" in image
    return "" if whole else "it ends before the pixels"


def _describe(slices: list[Slice]) -> str:
    first = slices[0].image
    return (
        f"another series was left out: number {first.get('SeriesNumber', '?')}, "
        f"{len(slices)} slices of {first.Columns} x {first.Rows}, "
        f"uid {first.get('SeriesInstanceUID')}"
    )


def _without_duplicates(slices: list[Slice]) -> tuple[list[Slice], int]:
    ordered = sorted(slices, key=lambda slice_: slice_.height)
    kept = ordered[:1]
    for slice_ in ordered[1:]:
        if abs(slice_.height - kept[-1].height) > 1e-3:
            kept.append(slice_)
        elif not np.array_equal(slice_.pixels(), kept[-1].pixels()):
            msg = (
                f"two different slices lie at {slice_.height:.2f} mm: the folder mixes "
                "reconstructions or time points, pass one series"
            )
            raise GeometryError(msg)
    return kept, len(ordered) - len(kept)


def _affine(slices: list[Slice]) -> np.ndarray:
    """Voxel (column, row, slice) -> RAS+ mm; a constant drift of the origin becomes shear."""
    first = slices[0]
    if len(slices) < 2:
        msg = "the series has a single slice: a 3D scan is needed"
        raise InputError(msg)
    heights = np.array([slice_.height for slice_ in slices])
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
    affine[:3, 0] = first.row * first.spacing[1]
    affine[:3, 1] = first.column * first.spacing[0]
    affine[:3, 2] = (slices[-1].position - first.position) / (len(slices) - 1)
    affine[:3, 3] = first.position
    _check_line(slices, affine[:3, 2], max(_ASTRAY, _TOLERANCE * usual))
    return LPS_TO_RAS @ affine


def _check_line(slices: list[Slice], step: np.ndarray, tolerance: float) -> None:
    """Every slice where the affine puts it, with pixels of one size."""
    first = slices[0]
    places = np.array([slice_.position for slice_ in slices])
    line = first.position + np.arange(len(slices))[:, None] * step
    away = np.linalg.norm(places - line, axis=1)
    worst = int(away.argmax())
    if away[worst] > tolerance:
        msg = (
            f"the slice at {slices[worst].height:.1f} mm lies {away[worst]:.1f} mm beside the line "
            "through the others: the patient or the table moved, or the folder mixes "
            "reconstructions; pass one series"
        )
        raise GeometryError(msg)
    for slice_ in slices[1:]:
        if not np.allclose(slice_.spacing, first.spacing, rtol=1e-3):
            msg = (
                f"pixels are {slice_.spacing} mm apart at {slice_.height:.1f} mm and "
                f"{first.spacing} mm at {first.height:.1f} mm: pass one reconstruction"
            )
            raise GeometryError(msg)


def _stacked(slices: list[Slice]) -> np.ndarray:
    """HU [column, row, slice]; int16 where all slopes and intercepts are whole numbers."""
    whole = all(_is_whole(slice_) for slice_ in slices)
    columns, rows = slices[0].image.Columns, slices[0].image.Rows
    array = np.empty((columns, rows, len(slices)), np.int16 if whole else np.float32, order="F")
    for number, slice_ in enumerate(slices):
        array[:, :, number] = _hounsfield(slice_)
    return array


def _is_whole(slice_: Slice) -> bool:
    return slice_.slope == 1 and slice_.intercept.is_integer()


def _hounsfield(slice_: Slice) -> np.ndarray:
    """Pixels [column, row] in HU; int16 where slope and intercept are whole numbers."""
    pixels, slope, intercept = slice_.pixels().T, slice_.slope, slice_.intercept
    if _is_whole(slice_):
        return np.asarray(
            np.clip(pixels.astype(np.int32) + int(intercept), -32768, 32767), np.int16
        )
    return np.asarray(pixels * np.float32(slope) + np.float32(intercept), np.float32)
