"""What results in DICOM take from the scan they belong to: patient, study, frame of reference."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vista3d import __version__
from vista3d.anatomy import CodedConcept
from vista3d.errors import InputError, UsageError

if TYPE_CHECKING:
    from highdicom.coding_schemes import CodingSchemeIdentificationItem
    from pydicom import Dataset
    from pydicom.tag import BaseTag

    from vista3d.anatomy import Structure
    from vista3d.volume import Volume
    from vista3d.volume.dicom_series import DicomSeries

log = logging.getLogger(__name__)

Maker = Literal["automatic", "semiautomatic", "manual"]
"""Whether a structure is the network's alone, the network's with somebody's help, or drawn."""

Makers = Mapping[int, Maker]
"""By class id; a structure that it does not name is automatic."""

ALL_AUTOMATIC: Makers = MappingProxyType({})

MANUFACTURER = "vista3d (open source)"

EQUIPMENT: dict[str, Any] = {
    "manufacturer": MANUFACTURER,
    "manufacturer_model_name": "vista3d",
    "software_versions": __version__,
    "device_serial_number": "0",
}
"""What made a result (PS3.3 C.7.5.2); there is no device, and its number must have a value."""

PRIVATE_SCHEME = "99VISTA3D"
"""Coding scheme of structures that our table has no SNOMED CT code for; PS3.16 8.2 keeps names
that begin with 99 for private schemes. The code is the global class id."""

_IDENTIFYING = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID",
                "FrameOfReferenceUID")  # fmt: skip
_MAY_BE_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber",
                 "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName")  # fmt: skip
"""Type 2: must be there, without a value where it is unknown. Anonymisers remove some of them."""
_PATIENT_SEX, _SEX = 0x00100040, ("M", "F", "O")
_FUNCTIONAL_GROUPS = 0x5200
"""Of frames: geometry only, and there are thousands of them."""

_ONE_AT_A_TIME = threading.Lock()

_UTF_8 = "ISO_IR 192"
_LONGEST = 64
"""Characters of a text of type LO (PS3.5 6.2)."""


def source_series(volume: Volume, labels: NDArray[np.integer]) -> DicomSeries:
    """The series of the scan, fit to be referred to; that of the volume, which others use, stays.

    Results take patient, study and character set from its first image. It is a copy here, in which
    malformed values are left out, what must be there is added, empty, and every text is in UTF-8,
    as names of objects may be in any script; identity and geometry stay as they are.

    Raises:
        InputError: as `require_series`.
        UsageError: labels of another shape than the scan.
    """
    if labels.shape != volume.array.shape:
        msg = f"labels of shape {labels.shape} do not belong to a scan of {volume.array.shape}"
        raise UsageError(msg)
    series = require_series(volume)
    first = series.images[0]
    with values_as_they_are():
        copy = _referable(first)
        if not series.frames and not copy.get("SliceThickness"):
            # It may be empty in an image, never in a segmentation, which takes it from the first.
            copy.add_new("SliceThickness", "DS", f"{volume.geometry.spacing[2]:.6g}")
    slices = (replace(s, image=copy) if s.image is first else s for s in series.slices)
    return replace(series, slices=tuple(slices))


def _referable(image: Dataset) -> Dataset:
    """A copy as `source_series` says. Elements are shared with the image: none is changed."""
    import pydicom
    from pydicom.datadict import dictionary_VR, keyword_for_tag

    copy = pydicom.Dataset({tag: image.get_item(tag) for tag in image.keys()})  # noqa: SIM118
    copy.file_meta = image.file_meta
    for tag in list(copy.keys()):
        if not _readable(copy, tag):
            # The value may be a person's: it is not logged.
            log.warning("%s of the scan is malformed: left out", keyword_for_tag(tag) or tag)
            del copy[tag]
    for name in _MAY_BE_EMPTY:
        if name not in copy:
            copy.add_new(name, dictionary_VR(name), None)
    # All texts have been decoded by the former set; writing encodes them by this one.
    copy.add_new("SpecificCharacterSet", "CS", _UTF_8)
    return copy


@contextlib.contextmanager
def values_as_they_are() -> Iterator[None]:
    """No checks by pydicom: they would quote personal data in warnings.

    One thread after another: the switch is the whole process's, and whoever leaves first would turn
    the checks on for the others.
    """
    from pydicom.config import disable_value_validation

    with _ONE_AT_A_TIME, disable_value_validation():
        yield


def _readable(image: Dataset, tag: BaseTag) -> bool:
    """Whether a value is one of its type; dates and sex are what anonymisers replace by words.

    It is decoded by this, with all that is in it.
    """
    from pydicom.valuerep import DA, TM

    try:
        element = image[tag]
        if tag == _PATIENT_SEX:
            return not element.value or element.value in _SEX
        if element.VR == "SQ" and tag.group != _FUNCTIONAL_GROUPS:
            for item in element.value:
                list(item.iterall())
        parser = {"DA": DA, "TM": TM}.get(element.VR)
        if parser is not None and element.VM == 1:
            parser(str(element.value))
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        return False
    return True


def require_series(volume: Volume) -> DicomSeries:
    """The series of the scan; called before the work too, as nothing can be done about it later.

    Raises:
        InputError: the scan was not read from DICOM, or lacks the UIDs that identify it.
    """
    from pydicom.uid import UID

    series = volume.meta.series
    if series is None:
        msg = (
            f"'{volume.meta.name}' was read from {volume.meta.format}: DICOM results refer to the "
            "images of a DICOM series, so pass the scan as a DICOM folder or zip, or write nifti "
            "or seg.nrrd"
        )
        raise InputError(msg)
    missing = {name for image in series.images for name in _IDENTIFYING if not image.get(name)}
    if missing:
        listed = ", ".join(name for name in _IDENTIFYING if name in missing)
        msg = (
            f"the DICOM images of '{volume.meta.name}' lack {listed}, by which a result would "
            "refer to them: use the images as the scanner or archive sent them, or write nifti or "
            "seg.nrrd"
        )
        raise InputError(msg)
    kind = UID(series.images[0].SOPClassUID)
    if kind.type != "SOP Class":
        msg = (
            f"the DICOM images of '{volume.meta.name}' are of the private class {kind}: results "
            "can refer to images of the standard's classes only, write nifti or seg.nrrd"
        )
        raise InputError(msg)
    return series


def type_of(structure: Structure) -> CodedConcept:
    """The code of what a structure is; of our own scheme where SNOMED CT's is not known."""
    return structure.type or CodedConcept(str(structure.id), PRIVATE_SCHEME, structure.name)


def long_text(words: str) -> str:
    """Words as one value of type LO: 64 characters at most, and a backslash would part values."""
    return words.replace("\\", "/")[:_LONGEST]


def private_scheme() -> CodingSchemeIdentificationItem:
    """What our own coding scheme is, for readers that meet its codes."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(
        PRIVATE_SCHEME, name="vista3d class ids", responsible_organization=MANUFACTURER
    )
