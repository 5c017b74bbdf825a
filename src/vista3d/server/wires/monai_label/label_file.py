"""A label map that a client sends: a volume file, or bare bytes in the order of the scan."""

from __future__ import annotations

import numpy as np

from vista3d.errors import InputError
from vista3d.server.errors import FormatError
from vista3d.server.intake import check_volume_file, sniff
from vista3d.server.settings import Limits
from vista3d.server.upload import Received
from vista3d.volume import Geometry, read


def read_label(file: Received, geometry: Geometry, limits: Limits) -> np.ndarray:
    """Integers [i, j, k] on a scan's grid.

    Args:
        file: NIfTI, NRRD or MetaImage; or, where its name ends in .bin (OHIF), uint8 or uint16
            values, i fastest.
        geometry: of the scan.
        limits: of the server.

    Raises:
        FormatError: of another type.
        InputError: another grid, other values than whole numbers from 0 to 65535, or damaged.
    """
    if file.name.lower().endswith(".bin"):
        return _bare(file, geometry)
    kind = sniff(file.path)
    if kind not in ("nii", "nii.gz", "nrrd", "mha"):
        msg = "a label is sent as NIfTI, NRRD, MetaImage, or as label.bin"
        raise FormatError(msg)
    check_volume_file(file.path, kind, limits)
    volume = read(file.path.rename(file.path.with_name(f"label.{kind}")))
    if volume.array.shape != geometry.shape:
        msg = f"the label has shape {volume.array.shape}, its image {geometry.shape}"
        raise InputError(msg)
    if not volume.geometry.matches(geometry):
        msg = "the label lies on another grid than its image: resample it to the image"
        raise InputError(msg)
    return _whole(volume.array)


def _bare(file: Received, geometry: Geometry) -> np.ndarray:
    voxels, size = int(np.prod(geometry.shape)), file.path.stat().st_size
    if size not in (voxels, 2 * voxels):
        msg = f"label.bin has {size} bytes, the image {voxels} voxels: send uint8 or uint16"
        raise InputError(msg)
    dtype = np.dtype("<u1" if size == voxels else "<u2")
    return np.fromfile(file.path, dtype).reshape(geometry.shape, order="F")


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
