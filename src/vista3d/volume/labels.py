"""Label maps that belong to a scan: read on its grid, in whole numbers, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vista3d.errors import GeometryError, InputError
from vista3d.volume.geometry import Geometry
from vista3d.volume.reading import read

SAME_GRID_MM = 0.1
"""A truth whose corner voxels lie within this distance of the scan's is on its grid."""


def read_truth(path: Path, geometry: Geometry, dtype: DTypeLike = np.uint16) -> NDArray[np.integer]:
    """A label map [i, j, k] on the grid of a scan.

    Args:
        path: of the label map.
        geometry: of the scan.
        dtype: integers that hold every value: uint16 for global class ids.

    Raises:
        InputError: unreadable, or its values are not whole numbers that `dtype` holds.
        GeometryError: it lies on another grid.
    """
    truth = read(path)
    shape = truth.geometry.shape
    corners = np.array([[0, 0, 0], [s - 1 for s in shape]], float)
    same = shape == geometry.shape and np.allclose(
        truth.geometry.to_world(corners), geometry.to_world(corners), atol=SAME_GRID_MM
    )
    if not same:
        msg = (
            f"the truth '{path.name}' {shape} is not on the grid of the scan {geometry.shape}: "
            "shape and affine must agree"
        )
        raise GeometryError(msg)
    values, limits = truth.array, np.iinfo(np.dtype(dtype))
    low, high = float(values.min()), float(values.max())
    labels = values.astype(dtype) if low >= limits.min and high <= limits.max else None
    if labels is None or not np.array_equal(labels, values):
        msg = (
            f"the truth '{path.name}' is not a label map: its values run from {low} to {high}, and "
            f"not all are whole numbers from {limits.min} to {limits.max}"
        )
        raise InputError(msg)
    return labels
