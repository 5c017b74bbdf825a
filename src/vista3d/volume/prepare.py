"""From a scan to the model's grid, and labels back: orient, resample, crop, and their inverse.

The order and the numbers are the released bundle's: Spacing, then the crop, then RAS by axis swaps
and flips (facts 2.1). All three together are one affine map, kept in `ModelGrid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vista3d.volume.crop import body_box, foreground_box
from vista3d.volume.geometry import Geometry, axes_of
from vista3d.volume.resample import nearest, resample, spaced, voxel_map
from vista3d.volume.volume import Volume

Crop = Literal["body", "foreground", "none"]

A_MIN, A_MAX = -963.8247715525971, 1053.678477684517
"""HU window of the released model (facts 2.1): 0.05 and 99.95 percentiles of its training CTs."""


@dataclass(frozen=True, eq=False)
class ModelGrid:
    """Where the network's input lies: its own grid (RAS, model spacing, cropped) and the scan's."""

    geometry: Geometry
    original: Geometry

    @property
    def to_model(self) -> np.ndarray:
        """[4, 4]: voxel of the original scan -> voxel of the model grid (fractional)."""
        return voxel_map(self.original, self.geometry)

    @property
    def to_original(self) -> np.ndarray:
        """[4, 4]: voxel of the model grid -> voxel of the original scan (fractional)."""
        return voxel_map(self.geometry, self.original)


def prepare(
    volume: Volume,
    spacing: tuple[float, float, float] | None,
    *,
    crop: Crop = "body",
    margin: int = 10,
) -> tuple[np.ndarray, ModelGrid]:
    """Put a scan on the model's grid.

    Args:
        volume: any geometry.
        spacing: of the model, mm; None keeps the scan's own voxels.
        crop: "body" (ours: the patient), "foreground" (the bundle's: HU > 0) or "none".
        margin: voxels of the model grid kept around the box.

    Returns:
        HU [i, j, k] float32 in RAS order, and the grid it lies on.
    """
    original = volume.geometry
    if spacing is None:
        grid, array = original, np.asarray(volume.array, np.float32)
    else:
        grid = spaced(original, spacing)
        array = resample(volume.array, original, grid)
    if crop != "none":
        box = (
            body_box(array, grid.spacing, margin)
            if crop == "body"
            else foreground_box(array, margin)
        )
        array, grid = array[box], _shifted(grid, [part.start for part in box], array[box].shape)
    array, grid = _to_ras(array, grid)
    return np.ascontiguousarray(array), ModelGrid(grid, original)


def labels_to_model(labels: np.ndarray, grid: ModelGrid) -> np.ndarray:
    """Labels of the original grid -> nearest labels on the model grid; dtype kept."""
    return nearest(labels, grid.to_original, grid.geometry.shape)


def restore_labels(labels: np.ndarray, grid: ModelGrid) -> np.ndarray:
    """Labels of the model grid -> nearest labels on the original grid, 0 outside the crop."""
    return nearest(labels, grid.to_model, grid.original.shape)


def normalise(array: np.ndarray, a_min: float = A_MIN, a_max: float = A_MAX) -> np.ndarray:
    """HU -> [0, 1] float32, clipped."""
    scaled = (np.asarray(array, np.float32) - np.float32(a_min)) / np.float32(a_max - a_min)
    return np.clip(scaled, 0, 1, out=scaled)


def _shifted(grid: Geometry, start: list[int], shape: tuple[int, ...]) -> Geometry:
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(start, np.float64)
    i, j, k = shape
    return Geometry((i, j, k), affine)


def _to_ras(array: np.ndarray, grid: Geometry) -> tuple[np.ndarray, Geometry]:
    """Axis swaps and flips only: index i grows to the right, j to the front, k upwards."""
    axes = axes_of(grid.affine)
    order = [next(a for a, (world, _) in enumerate(axes) if world == w) for w in range(3)]
    flips = [not axes[a][1] for a in order]
    array = array.transpose(order)
    affine = grid.affine.copy()
    affine[:3, :3] = affine[:3, order]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
            array = np.flip(array, axis)
    i, j, k = array.shape
    return array, Geometry((i, j, k), affine)
