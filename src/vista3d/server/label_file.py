"""A label map that a client sends as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vista3d.errors import InputError
from vista3d.server.errors import FormatError
from vista3d.server.intake import check_volume_file, sniff
from vista3d.server.settings import Limits
from vista3d.volume import Geometry, Volume, read


def read_label_file(path: Path, geometry: Geometry, limits: Limits) -> Volume:
    """Labels uint16 [i, j, k] on a scan's grid, with the names that the file states.

    Args:
        path: NIfTI, NRRD (also of 3D Slicer) or MetaImage, by its first bytes; it is renamed.
        geometry: of the scan.
        limits: of the server.

    Raises:
        FormatError: of another type.
        InputError: another grid, other values than whole numbers from 0 to 65535, or damaged.
    """
    kind = sniff(path)
    if kind not in ("nii", "nii.gz", "nrrd", "mha"):
        msg = "a mask or label map is NIfTI (.nii, .nii.gz), NRRD or MetaImage, and the request's "
        msg += "body is the file itself (curl --data-binary @FILE), no form"
        raise FormatError(msg)
    check_volume_file(path, kind, limits)
    labels = read(path.rename(path.with_name(f"label.{kind}")))
    if labels.array.shape != geometry.shape:
        msg = f"the labels have shape {labels.array.shape}, their image {geometry.shape}: resample "
        msg += "them to its grid, nearest neighbour"
        raise InputError(msg)
    if not labels.geometry.matches(geometry):
        msg = "the labels have another affine than their image: resample them to its grid, "
        msg += "nearest neighbour"
        raise InputError(msg)
    return replace(labels, array=_whole(labels.array))


def _whole(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "iuf":
        msg = f"a label has whole numbers, not {values.dtype}"
        raise InputError(msg)
    low, high = values.min(initial=0), values.max(initial=0)
    if not (low >= 0 and high <= 65535):  # also where a value is nan
        msg = f"a label has values from 0 to 65535, not from {low} to {high}"
        raise InputError(msg)
    whole = values.astype(np.uint16)
    if values.dtype.kind == "f" and (whole != values).any():
        msg = "a label has whole numbers, and this one has fractions"
        raise InputError(msg)
    return whole
