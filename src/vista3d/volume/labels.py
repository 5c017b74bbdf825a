"""Label maps that belong to a scan: read on its grid, in whole numbers, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vista3d.errors import GeometryError, InputError
from vista3d.volume.checks import plain
from vista3d.volume.geometry import Geometry
from vista3d.volume.reading import read
from vista3d.volume.volume import Volume


def read_truth(
    path: Path, geometry: Geometry | None, dtype: DTypeLike = np.uint16
) -> NDArray[np.integer]:
    """The values of a label map; arguments and errors as of `read_label_map`."""
    return read_label_map(path, geometry, dtype).array


def read_label_map(path: Path, geometry: Geometry | None, dtype: DTypeLike = np.uint16) -> Volume:
    """A label map [i, j, k] on the grid of a scan, with the names of its values in `meta.labels`.

    Args:
        path: of the label map.
        geometry: of the scan; None where there is none, and any grid will do.
        dtype: integers that hold every value: uint16 for global class ids.

    Raises:
        InputError: unreadable, RGB, not 3D, or its values are not whole numbers that `dtype` holds.
        GeometryError: it lies on another grid.
    """
    found = read_drawn(path)
    grid = found.geometry
    if geometry is not None:
        _require_same(path, grid, geometry)
    values, limits = found.array, np.iinfo(np.dtype(dtype))
    low, high = float(values.min()), float(values.max())
    labels = values.astype(dtype) if low >= limits.min and high <= limits.max else None
    if labels is None or not np.array_equal(labels, values):
        msg = (
            f"'{path.name}' is not a label map: its values run from {low:g} to {high:g}, and not "
            f"all are whole numbers from {limits.min} to {limits.max}"
        )
        raise InputError(msg)
    return replace(found, array=labels)


def read_drawn(path: Path) -> Volume:
    """A label map [i, j, k] as its file has it: on any grid, with any numbers.

    Raises:
        InputError: unreadable, RGB, or not 3D.
    """
    found = read(path)
    try:
        return replace(found, array=plain(found.array))
    except InputError as error:
        msg = f"the labels '{path.name}': {error}"
        raise InputError(msg) from None


def _require_same(path: Path, grid: Geometry, geometry: Geometry) -> None:
    if grid.shape != geometry.shape:
        msg = (
            f"the labels '{path.name}' have shape {grid.shape}, the scan {geometry.shape}: "
            "resample them to the scan's grid, nearest neighbour"
        )
        raise GeometryError(msg)
    if not grid.matches(geometry):
        msg = (
            f"the labels '{path.name}' are not on the grid of the scan: corners lie up to "
            f"{grid.corner_gap(geometry):.1f} mm apart ({grid.orientation} and "
            f"{geometry.orientation}). Resample them, or correct the header"
        )
        raise GeometryError(msg)
