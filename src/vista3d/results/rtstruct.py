"""RT Structure Set (PS3.3 A.19): every structure as contours in the planes of the scan.

Contours are the language of treatment planning. Each lies in the plane of its own image, so that
oblique scans and gantry tilt need no resampling; voxel centres inside a contour are exactly those
of the structure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vista3d.errors import InputError
from vista3d.results.contours import outlines
from vista3d.results.dicom_source import (
    ALL_AUTOMATIC,
    EQUIPMENT,
    Makers,
    long_text,
    private_scheme,
    source_series,
    type_of,
    values_as_they_are,
)
from vista3d.results.profile import Profile, profile_labels
from vista3d.volume.writers import atomic_path

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

    from vista3d.anatomy import Structure
    from vista3d.volume import Volume
    from vista3d.volume.dicom_series import DicomSeries, Slice

_SERIES_NUMBER = 3001
_DECIMALS = 3
"""Of a coordinate in mm: a micrometre, and at most 16 characters as DICOM allows."""
_STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""Retired SOP class that the standard still asks for in the reference to the study."""


def write_rtstruct(
    path: Path,
    labels: NDArray[np.integer],
    volume: Volume,
    ids: Iterable[int | Structure],
    *,
    makers: Makers = ALL_AUTOMATIC,
    model: str = "VISTA3D",
    profile: Profile | None = None,
) -> Path:
    """Write the structures that were found as regions of interest.

    Args:
        path: `.dcm`; written atomically.
        labels: global class ids (i, j, k) on the grid of `volume`, 0 is background.
        volume: the scan, read from DICOM.
        ids: classes to list; those without a voxel are left out.
        makers: what the object says about how each was made.
        model: name of the network, for the description.
        profile: `profile_labels(labels)` where it is known already.

    Raises:
        InputError: the scan was not read from DICOM, lacks UIDs, or nothing was found.
        UsageError: labels of another shape than the scan.
    """
    import pydicom

    series = source_series(volume, labels)
    spread = profile or profile_labels(labels)
    found = spread.found(ids)
    if not found:
        msg = f"nothing was found in '{volume.meta.name}': a structure set needs a structure"
        raise InputError(msg)
    path = Path(path)
    with values_as_they_are(), atomic_path(path) as temporary:
        document = _document(series, model)
        for number, structure in enumerate(found, start=1):
            contours = _contours(labels, structure.id, spread, series)
            document.StructureSetROISequence.append(_region(number, structure, series, makers))
            document.ROIContourSequence.append(_drawing(number, structure, contours))
            document.RTROIObservationsSequence.append(_observation(number, structure))
        pydicom.dcmwrite(temporary, document, enforce_file_format=True)
    return path


def _document(series: DicomSeries, model: str) -> Dataset:
    import highdicom as hd
    from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

    source = series.images[0]
    document = hd.SOPClass(
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        sop_class_uid=RTStructureSetStorage,
        instance_number=1,
        modality="RTSTRUCT",
        **EQUIPMENT,
        series_description=long_text(f"{model} structures"),
        coding_schemes=[private_scheme()],
        # With explicit types a contour could not be longer than 64 kB.
        transfer_syntax_uid=ImplicitVRLittleEndian,
        referring_physician_name=source.ReferringPhysicianName,
        specific_character_set=source.SpecificCharacterSet,
    )
    document.copy_patient_and_study_information(source)
    now = datetime.now()
    document.FrameOfReferenceUID = source.FrameOfReferenceUID
    document.PositionReferenceIndicator = source.get("PositionReferenceIndicator")
    document.OperatorsName = None
    document.StructureSetLabel = "VISTA3D"
    document.StructureSetDescription = f"Made by {model}: research software, not for diagnosis"
    document.StructureSetDate = now.strftime("%Y%m%d")
    document.StructureSetTime = now.strftime("%H%M%S")
    document.ReferencedFrameOfReferenceSequence = [_frame_of_reference(series)]
    document.StructureSetROISequence = []
    document.ROIContourSequence = []
    document.RTROIObservationsSequence = []
    return document


def _frame_of_reference(series: DicomSeries) -> Dataset:
    source = series.images[0]
    referenced = _item(
        SeriesInstanceUID=source.SeriesInstanceUID,
        ContourImageSequence=[_image(slice_) for slice_ in series.slices],
    )
    study = _item(
        ReferencedSOPClassUID=_STUDY_COMPONENT,
        ReferencedSOPInstanceUID=source.StudyInstanceUID,
        RTReferencedSeriesSequence=[referenced],
    )
    return _item(FrameOfReferenceUID=source.FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _region(number: int, structure: Structure, series: DicomSeries, makers: Makers) -> Dataset:
    return _item(
        ROINumber=number,
        ReferencedFrameOfReferenceUID=series.images[0].FrameOfReferenceUID,
        ROIName=long_text(structure.name),
        ROIGenerationAlgorithm=makers.get(structure.id, "automatic").upper(),
    )


def _drawing(number: int, structure: Structure, contours: list[Dataset]) -> Dataset:
    return _item(
        ReferencedROINumber=number,
        ROIDisplayColor=list(structure.colour),
        ContourSequence=contours,
    )


def _observation(number: int, structure: Structure) -> Dataset:
    kind = type_of(structure)
    code = _item(
        CodeValue=kind.value,
        CodingSchemeDesignator=kind.scheme,
        CodeMeaning=long_text(kind.meaning),
    )
    return _item(
        ObservationNumber=number,
        ReferencedROINumber=number,
        RTROIIdentificationCodeSequence=[code],
        # A lesion is left open: whether it is a target is for people to say.
        RTROIInterpretedType="ORGAN" if structure.category.value == "123037004" else None,
        ROIInterpreter=None,
    )


def _contours(
    labels: NDArray[np.integer], label: int, spread: Profile, series: DicomSeries
) -> list[Dataset]:
    """Contours of one structure, looked for in its bounding box only."""
    (i0, i1), (j0, j1), (k0, k1) = spread.box(label)
    found: list[Dataset] = []
    for k in range(k0, k1 + 1):
        mask = np.equal(labels[i0 : i1 + 1, j0 : j1 + 1, k].T, label)
        for polygon in outlines(mask) if mask.any() else ():
            slice_ = series.slices[k]
            points = slice_.to_patient(polygon[:, ::-1] + (i0, j0))
            contour = _item(
                ContourNumber=len(found) + 1,
                ContourImageSequence=[_image(slice_)],
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
            )
            contour.add(_contour_data(points))
            found.append(contour)
    return found


def _contour_data(points: NDArray[np.float64]) -> DataElement:
    """Coordinates as decimal strings.

    Formatted and checked here: pydicom would parse and check each of a million strings again,
    which takes three times as long as everything else.
    """
    from pydicom import DataElement

    text = [f"{value:.{_DECIMALS}f}" for value in points.ravel().tolist()]
    return DataElement("ContourData", "DS", text, already_converted=True)


def _image(slice_: Slice) -> Dataset:
    reference = _item(
        ReferencedSOPClassUID=slice_.image.SOPClassUID,
        ReferencedSOPInstanceUID=slice_.image.SOPInstanceUID,
    )
    if slice_.frame is not None:
        reference.ReferencedFrameNumber = slice_.frame + 1
    return reference


def _item(**attributes: object) -> Dataset:
    import pydicom

    item = pydicom.Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
