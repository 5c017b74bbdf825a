"""DICOM Segmentation objects (PS3.3 A.51 and A.95): voxels, names, codes and colours for a PACS.

Every frame lies in the plane of the image it was drawn on, position and orientation taken from
that image, so that oblique scans, gantry tilt and either order of the slices come out right.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vista3d import __version__
from vista3d.errors import InputError
from vista3d.results.dicom_source import (
    ALL_AUTOMATIC,
    EQUIPMENT,
    Maker,
    Makers,
    long_text,
    private_scheme,
    source_series,
    type_of,
    values_as_they_are,
)
from vista3d.results.label_map import smallest_type
from vista3d.results.profile import Profile, profile_labels
from vista3d.volume.writers import atomic_path

if TYPE_CHECKING:
    import highdicom as hd

    from vista3d.anatomy import CodedConcept, Structure
    from vista3d.volume import Volume
    from vista3d.volume.dicom_series import DicomSeries

Kind = Literal["binary", "labelmap"]
"""binary: one bitmap per structure and slice, which every reader knows. labelmap: one map of
numbers per slice (DICOM 2024d), many times smaller; only recent readers know it."""

_SERIES_NUMBER = 3000
"""Far from the numbers that scanners give, so that viewers list results last."""


def write_dicom_seg(
    path: Path,
    labels: NDArray[np.integer],
    volume: Volume,
    ids: Iterable[int | Structure],
    *,
    kind: Kind = "binary",
    makers: Makers = ALL_AUTOMATIC,
    model: str = "VISTA3D",
    profile: Profile | None = None,
) -> Path:
    """Write the structures that were found as segments 1..N of one object.

    Args:
        path: `.dcm`; written atomically.
        labels: global class ids (i, j, k) on the grid of `volume`, 0 is background.
        volume: the scan, read from DICOM.
        ids: classes to list; those without a voxel are left out.
        kind: how the voxels are stored.
        makers: what the object says about how each was made.
        model: name of the network, for the object's record of the algorithm.
        profile: `profile_labels(labels)` where it is known already.

    Raises:
        InputError: the scan was not read from DICOM, lacks UIDs, or nothing was found.
        UsageError: labels of another shape than the scan.
    """
    series = source_series(volume, labels)
    voxels = smallest_type(labels)
    spread = profile or profile_labels(voxels)
    found = spread.found(ids)
    if not found:
        msg = (
            f"nothing was found in '{volume.meta.name}': a DICOM segmentation needs at least one "
            "segment"
        )
        raise InputError(msg)
    path = Path(path)
    with values_as_they_are(), atomic_path(path) as temporary:
        made = _segmentation(series, _numbered(voxels, found), found, kind, makers, model)
        made.save_as(temporary)
    return path


def _segmentation(
    series: DicomSeries,
    numbers: NDArray[np.unsignedinteger],
    found: list[Structure],
    kind: Kind,
    makers: Makers,
    model: str,
) -> hd.seg.Segmentation:
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    algorithm = hd.AlgorithmIdentificationSequence(
        name=long_text(model), family=codes.DCM.ArtificialIntelligence, version=__version__
    )
    return hd.seg.Segmentation(
        source_images=series.images,
        pixel_array=_frames(series, numbers),
        segmentation_type=kind.upper(),
        segment_descriptions=[
            _description(number, structure, makers.get(structure.id, "automatic"), algorithm)
            for number, structure in enumerate(found, start=1)
        ],
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        **EQUIPMENT,
        coding_schemes=[private_scheme()],
        content_label="SEGMENTATION",
        content_description=long_text(f"Made by {model}: research software, not for diagnosis"),
        series_description=long_text(f"{model} segmentation"),
        # Bitmaps cannot be compressed in any way that older readers know.
        transfer_syntax_uid=RLELossless if kind == "labelmap" else ExplicitVRLittleEndian,
    )


def _numbered(
    voxels: NDArray[np.uint8] | NDArray[np.uint16], found: list[Structure]
) -> NDArray[np.unsignedinteger]:
    """Class ids -> segment numbers 1..N, without a gap as bitmaps need it; (i, j, k) kept."""
    table = np.zeros(np.iinfo(voxels.dtype).max + 1, np.min_scalar_type(len(found)))
    for number, structure in enumerate(found, start=1):
        table[structure.id] = number
    return np.asarray(table[voxels])


def _frames(
    series: DicomSeries, numbers: NDArray[np.unsignedinteger]
) -> NDArray[np.unsignedinteger]:
    """[i, j, k] -> [frame, row, column] in the order of the images or of a multi-frame's frames."""
    stack = numbers.transpose(2, 1, 0)
    if not series.frames:
        return np.ascontiguousarray(stack)
    frames = np.zeros((series.frames, *stack.shape[1:]), stack.dtype)
    for slice_, plane in zip(series.slices, stack, strict=True):
        frames[slice_.frame] = plane
    return frames


def _description(
    number: int, structure: Structure, maker: Maker, algorithm: Any
) -> hd.seg.SegmentDescription:
    import highdicom as hd

    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=long_text(structure.name),
        segmented_property_category=_coded(structure.category),
        segmented_property_type=_coded(type_of(structure)),
        algorithm_type=maker.upper(),
        algorithm_identification=None if maker == "manual" else algorithm,
        display_color=hd.color.CIELabColor.from_rgb(*structure.colour),
    )
    if structure.modifier is not None:
        (kind,) = described.SegmentedPropertyTypeCodeSequence
        kind.SegmentedPropertyTypeModifierCodeSequence = [_coded(structure.modifier)]
    return described


def _coded(code: CodedConcept) -> hd.sr.CodedConcept:
    import highdicom as hd

    return hd.sr.CodedConcept(code.value, code.scheme, long_text(code.meaning))
