"""A label map that a client sends: a volume file, or bare bytes in the order of the scan."""

from __future__ import annotations

import numpy as np

from vista3d.errors import InputError
from vista3d.server.label_file import read_label_file
from vista3d.server.settings import Limits
from vista3d.server.upload import Received
from vista3d.volume import Geometry


def read_label(file: Received, geometry: Geometry, limits: Limits) -> np.ndarray:
    """Integers [i, j, k] on a scan's grid.

    Args:
        file: NIfTI, NRRD or MetaImage; or, where its name ends in .bin (OHIF), uint8 or uint16
            values, i fastest.
        geometry: of the scan.
        limits: of the server.

    Raises:
        FormatError, InputError: as `read_label_file`; or another number of bytes.
    """
    if file.name.lower().endswith(".bin"):
        return _bare(file, geometry)
    return read_label_file(file.path, geometry, limits).array


def _bare(file: Received, geometry: Geometry) -> np.ndarray:
    voxels, size = int(np.prod(geometry.shape)), file.path.stat().st_size
    if size not in (voxels, 2 * voxels):
        msg = f"label.bin has {size} bytes, the image {voxels} voxels: send uint8 or uint16"
        raise InputError(msg)
    dtype = np.dtype("<u1" if size == voxels else "<u2")
    return np.fromfile(file.path, dtype).reshape(geometry.shape, order="F")
