"""A client's array as a scan: this wire says the spacing, and not where the axes point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vista3d.errors import UsageError
from vista3d.server.wires.options import directions

_MOST = 32767
"""Voxels of an axis that a NIfTI-1 header can count."""

_NAPARI = "SAR"
"""Axes of arrays with negative spacings. napari's reader (napari-nifti) gives every scan in this
order and scales it negatively, so that it stands upright; napari's plugin sends these scales."""

_AS_FLOAT = frozenset({"float16", "int64", "uint64"})
"""Types that a NIfTI file does not hold, or that its readers do not know; HU fit float32."""


def write_scan(path: Path, array: np.ndarray, properties: dict[str, Any], axes: str) -> None:
    """Write an image as NIfTI, its voxels in the client's order.

    Args:
        path: .nii.
        array: [C, X, Y, Z] with one channel.
        properties: `spacing`, mm of the array's three axes; or `affine` [4, 4], voxel -> RAS mm,
            which is ours, for clients that know it.
        axes: where the axes point, if no affine says it; see `options.directions`.

    Raises:
        UsageError: not one channel of a 3D image, or an impossible spacing or affine.
    """
    import nibabel as nib

    if array.ndim != 4 or array.shape[0] != 1 or array.dtype == bool:
        msg = f"an image has the shape [1, X, Y, Z] and numbers, not {array.shape} {array.dtype}"
        raise UsageError(msg)
    if min(array.shape) < 1 or max(array.shape) > _MOST:
        msg = f"an image of shape {array.shape} cannot be segmented"
        raise UsageError(msg)
    affine = affine_of(properties, axes)
    values = array[0].astype(np.float32) if array.dtype.name in _AS_FLOAT else array[0]
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1, strip_shears=True)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def affine_of(properties: dict[str, Any], axes: str) -> np.ndarray:
    """[4, 4], voxel -> RAS mm, of what a client says and the server assumes.

    Negative spacings say where the axes point, see `_NAPARI`.

    Raises:
        UsageError: not numbers, or no volume.
    """
    given = properties.get("affine")
    try:
        if given is not None:
            affine = np.array(given, float)
        else:
            affine = np.eye(4)
            spacing = np.array(properties.get("spacing") or (1, 1, 1), float)
            if (spacing < 0).all():
                axes, spacing = _NAPARI, -spacing
            affine[:3, :3] = directions(axes) * spacing[:3]
            if spacing.shape != (3,) or not (spacing > 0).all():
                affine[:3, :3] = 0
        usable = affine.shape == (4, 4) and np.isfinite(affine).all()
        usable = usable and abs(np.linalg.det(affine[:3, :3])) > 1e-6
    except (TypeError, ValueError):
        usable = False
    if not usable:
        msg = "image_properties: spacing is three positive mm, affine is 4x4 voxel -> RAS mm"
        raise UsageError(msg)
    return affine
