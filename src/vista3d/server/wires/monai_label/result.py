"""Objects as the label map that a client expects: which values, which names, which file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vista3d.errors import UsageError
from vista3d.inference.interactive import SessionObject

Extension = Literal[".nrrd", ".nii.gz", ".nii", ".mha"]
Dtype = Literal["uint8", "uint16", "int16", "int32"]


@dataclass(frozen=True, eq=False)
class Result:
    """A label map.

    Attributes:
        labels: [i, j, k], 0 background; where objects overlap, the one added last.
        names: name -> value, ascending.
        centroids: name -> value and mean voxel, for OHIF's list of segments.
    """

    labels: np.ndarray
    names: dict[str, int]
    centroids: dict[str, list[float]]


def result_of(
    objects: Iterable[SessionObject], shape: tuple[int, int, int], *, global_ids: bool, dtype: Dtype
) -> Result:
    """The label map of what was found.

    Args:
        objects: that count.
        shape: of the scan.
        global_ids: values are class ids (OHIF: `restore_label_idx` false), 1 for an object without
            a class. Else 1..K, as 3D Slicer gives names to the values present in ascending order.
        dtype: of the voxels.

    Raises:
        UsageError: a value does not fit the dtype.
    """
    present = sorted((o for o in objects if o.mask), key=lambda o: (o.class_id or 0, o.id))
    values = {
        o.id: (o.class_id or 1) if global_ids else number for number, o in enumerate(present, 1)
    }
    highest = max(values.values(), default=0)
    if highest > np.iinfo(dtype).max:
        msg = f"label {highest} does not fit {dtype}: ask for result_dtype uint16"
        raise UsageError(msg)
    labels = np.zeros(shape, dtype)
    for thing in sorted(present, key=lambda o: o.id):
        labels[thing.mask.box][thing.mask.crop()] = values[thing.id]
    return Result(
        labels,
        {thing.name.lower(): values[thing.id] for thing in present},
        {thing.name.lower(): [values[thing.id], *_centre(thing)] for thing in present},
    )


def _centre(thing: SessionObject) -> list[float]:
    """Mean voxel (i, j, k) of an object."""
    crop = thing.mask.crop()
    out = []
    for axis, part in enumerate(thing.mask.box):
        count = crop.sum(axis=tuple({0, 1, 2} - {axis}))
        out.append(round(part.start + float(np.arange(len(count)) @ count / count.sum()), 1))
    return out
