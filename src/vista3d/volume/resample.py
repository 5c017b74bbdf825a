"""Resampling to an isotropic grid with MONAI's `Spacing` semantics (facts 2.1), slab by slab.

The grid keeps the first voxel's centre and the image's axes (a shear is removed); its length along
an axis is round((n - 1) * s / t) + 1. Interpolation is trilinear with border clamping. Positions
and weights are float64, voxels float32: identical to MONAI's float64 within 1e-4 of the range.
"""

from __future__ import annotations

import itertools

import numpy as np

from vista3d.volume.geometry import Geometry

_SEPARABLE = 1e-6
"""Off-axis part of a voxel map below which it is treated as axis by axis: with at most 1e3 voxels
a side the position error is 1e-3 voxel."""


def spaced(geometry: Geometry, spacing: tuple[float, float, float]) -> Geometry:
    """The grid of `spacing` (mm) that covers `geometry`."""
    # Gram-Schmidt in axis order, as the Cholesky factor in MONAI's zoom_affine does.
    basis = geometry.affine[:3, :3]
    upper = np.linalg.cholesky(basis.T @ basis).T
    affine = np.eye(4)
    affine[:3, :3] = basis @ np.linalg.inv(upper) @ np.diag(spacing)
    ends = [(0.0, n - 1.0) for n in geometry.shape]
    corners = np.array(list(itertools.product(*ends))).T
    in_new = np.linalg.solve(affine[:3, :3], basis @ corners)
    shape = np.round(np.ptp(in_new, axis=1) + 1).astype(int)
    smallest = in_new.min(axis=1, keepdims=True)
    corner = np.flatnonzero(np.isclose(in_new, smallest, rtol=1e-3, atol=1e-8).all(axis=0))
    if len(corner):
        origin = basis @ corners[:, corner[0]] + geometry.affine[:3, 3]
    else:
        # No corner is the smallest along every axis (shear): the centres are aligned.
        half = np.array(geometry.shape) / 2
        origin = basis @ half + geometry.affine[:3, 3] - affine[:3, :3] @ (shape / 2)
    affine[:3, 3] = origin
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def voxel_map(source: Geometry, target: Geometry) -> np.ndarray:
    """[4, 4] matrix: voxel of `source` -> voxel of `target`."""
    return np.linalg.solve(target.affine, source.affine)


def separable(matrix: np.ndarray) -> list[tuple[int, float, float]] | None:
    """For a scaled permutation: per output axis (input axis, scale, offset); otherwise None.

    Args:
        matrix: [4, 4]; output position = matrix @ input position.
    """
    linear = matrix[:3, :3]
    axes = np.abs(linear).argmax(axis=1)
    rest = linear.copy()
    rest[np.arange(3), axes] = 0
    if sorted(axes.tolist()) != [0, 1, 2] or np.abs(rest).max() > _SEPARABLE:
        return None
    return [(int(a), float(linear[o, a]), float(matrix[o, 3])) for o, a in enumerate(axes)]


def resample(array: np.ndarray, source: Geometry, target: Geometry) -> np.ndarray:
    """Trilinear values [i, j, k] of `array` on the target grid, float32, borders clamped."""
    matrix = voxel_map(target, source)
    axes = separable(matrix)
    if axes is None or [axis for axis, _, _ in axes] != [0, 1, 2]:
        from scipy.ndimage import affine_transform

        return np.asarray(
            affine_transform(
                array, matrix[:3, :3], matrix[:3, 3], output_shape=target.shape,
                output=np.float32, order=1, mode="nearest",
            )
        )  # fmt: skip
    taps = [
        _taps(scale, offset, out, size)
        for (_, scale, offset), out, size in zip(axes, target.shape, array.shape, strict=True)
    ]
    result = np.empty(target.shape, np.float32)
    (low_i, high_i, part_i), (low_j, high_j, part_j) = taps[:2]
    part_i = part_i[:, None]
    for k, (low, high, part) in enumerate(zip(*taps[2], strict=True)):
        plane = array[:, :, low].astype(np.float32)
        if part:
            plane += part * (array[:, :, high].astype(np.float32) - plane)
        rows = plane[low_i]
        rows += part_i * (plane[high_i] - rows)
        columns = rows[:, low_j]
        columns += part_j * (rows[:, high_j] - columns)
        result[:, :, k] = columns
    return result


def _taps(
    scale: float, offset: float, length: int, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper source index and the upper one's weight for each output index."""
    position = np.clip(np.arange(length) * scale + offset, 0, size - 1)
    low = np.floor(position).astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (position - low).astype(np.float32)


def nearest(array: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Nearest labels: output voxel v takes `array` at matrix @ v, 0 outside; dtype kept."""
    axes = separable(matrix)
    if axes is None:
        from scipy.ndimage import affine_transform

        return np.asarray(
            affine_transform(
                array, matrix[:3, :3], matrix[:3, 3], output_shape=shape,
                order=0, mode="grid-constant",
            )
        )  # fmt: skip
    result = np.zeros(shape, array.dtype)
    source: list[np.ndarray] = [np.empty(0)] * 3
    target: list[np.ndarray] = [np.empty(0)] * 3
    for input_axis, (output_axis, scale, offset) in enumerate(axes):
        index = np.floor(np.arange(shape[output_axis]) * scale + offset + 0.5).astype(np.intp)
        inside = (index >= 0) & (index < array.shape[input_axis])
        source[input_axis], target[output_axis] = index[inside], np.flatnonzero(inside)
    order = [output_axis for output_axis, _, _ in axes]
    values = array[np.ix_(*source)].transpose(np.argsort(order))
    result[np.ix_(*target)] = values
    return result
