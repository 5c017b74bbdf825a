"""One label map per case: global class ids on the grid of the scan, names and colours inside.

The names travel twice: in the NIfTI header, as the Caret XML label table that TotalSegmentator's
tools and Connectome Workbench read, and in a JSON file of the same name for everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from vista3d.anatomy import described
from vista3d.errors import InputError
from vista3d.results.json_file import write_json
from vista3d.volume import write_labels
from vista3d.volume.nifti import stem

if TYPE_CHECKING:
    from vista3d.anatomy import Structure
    from vista3d.volume import Volume


def write_label_map(
    path: Path, labels: NDArray[np.integer], volume: Volume, ids: Iterable[int | Structure]
) -> tuple[Path, Path]:
    """Write the label map and its JSON sidecar.

    Args:
        path: `.nii`, `.nii.gz` (names in the header), `.nrrd` or `.mha`.
        labels: global class ids (i, j, k) on the grid of `volume`, 0 is background.
        volume: the scan; its header and affine are kept bit-exact.
        ids: the classes that were asked for, also those that were not found.

    Returns:
        The paths of the label map and of the sidecar.

    Raises:
        InputError: the labels are negative, fractional or above 65535.
    """
    path = Path(path)
    listed = tuple(ids)
    write_labels(path, smallest_type(labels), volume, extension=label_table_xml(listed))
    return path, write_json(sidecar(path), label_document(path.name, listed))


def sidecar(path: Path) -> Path:
    """`case_seg.nii.gz` -> `case_seg.json`, in the same folder."""
    path = Path(path)
    return path.with_name(stem(path) + ".json")


def smallest_type(labels: NDArray[np.integer]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The labels as uint8, or as uint16 where an id is above 255; no copy where they are already.

    Raises:
        InputError: a value is negative, fractional or above 65535.
    """
    if labels.dtype == np.uint8:
        return labels.view(np.uint8)
    if labels.dtype.kind not in "bui":
        msg = f"labels must be whole numbers, not {labels.dtype}: convert them to uint8 or uint16"
        raise InputError(msg)
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > np.iinfo(np.uint16).max:
        msg = f"labels run from {low} to {high}: a label map holds 0 to 65535"
        raise InputError(msg)
    if high <= np.iinfo(np.uint8).max:
        return labels.astype(np.uint8)
    return labels.astype(np.uint16, copy=False)


def label_table_xml(ids: Iterable[int | Structure]) -> bytes:
    """The label table for a NIfTI header extension (code 0, as TotalSegmentator writes it)."""
    listed = described(ids).values()
    rows = [_label(s.id, s.name, *(c / 255 for c in s.colour), alpha=1) for s in listed]
    if len(rows) == 1:
        # TotalSegmentator's reader goes through xmltodict, which makes a list of the labels
        # only when there are two or more; a background row keeps a single class readable.
        rows.insert(0, _label(0, "background", 0, 0, 0, alpha=0))
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<CaretExtension><VolumeInformation Index="0"><LabelTable>',
            *rows,
            "</LabelTable><StudyMetaDataLinkSet></StudyMetaDataLinkSet>",
            "<VolumeType><![CDATA[Label]]></VolumeType></VolumeInformation></CaretExtension>",
        ]
    ).encode()


def label_document(image: str, ids: Iterable[int | Structure]) -> dict[str, Any]:
    """What the sidecar says: id, name, group, colour and SNOMED CT codes of every class."""
    return {
        "format": "vista3d label map",
        "version": 1,
        "image": image,
        "background": 0,
        "labels": [_entry(structure) for structure in described(ids).values()],
    }


def _label(key: int, name: str, red: float, green: float, blue: float, *, alpha: int) -> str:
    colour = f'Red="{red:.6g}" Green="{green:.6g}" Blue="{blue:.6g}" Alpha="{alpha}"'
    return f'<Label Key="{key}" {colour}>{escape(name)}</Label>'


def _entry(structure: Structure) -> dict[str, Any]:
    codes = {
        role: {"scheme": code.scheme, "value": code.value, "meaning": code.meaning}
        for role in ("category", "type", "modifier")
        if (code := getattr(structure, role)) is not None and code.value
    }
    return {
        "id": structure.id,
        "name": structure.name,
        "group": structure.group,
        "laterality": structure.laterality,
        "colour": list(structure.colour),
        **codes,
    }
