"""What is done with images that are not a plain 3D CT. Nothing is repaired silently.

The last two rows are of CT alone.

| input | treatment |
|---|---|
| 2D, one slice | refused |
| 4D, vector, RGB | refused unless a time point is named |
| a label map whose header names its labels | refused |
| empty, all NaN, constant | refused |
| NaN or infinite voxels | set to the smallest finite value, counted in a warning |
| values that do not look like HU | segmented as they are, with a warning that says what to do |
| DICOM of another modality | the same |
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vista3d.errors import InputError
from vista3d.volume.volume import Volume, without_trailing_axes


def check_ct(volume: Volume) -> Volume:
    """Apply the table above; returns the volume that can be segmented as a CT.

    It is the same one where there is nothing to change: those who share it go on doing so.

    Raises:
        InputError, GeometryError: as `check_image`.
    """
    volume = check_image(volume)
    modality = volume.meta.modality
    if modality not in ("", "CT"):
        volume = volume.with_warning(f"modality {modality}, segmented as if it were CT")
    return _warn_if_not_hu(volume)


def check_image(volume: Volume) -> Volume:
    """Apply the table, but for its rows about CT; returns the volume that can be segmented.

    Raises:
        InputError: the image cannot be segmented; the message says why and what to do.
        GeometryError: the affine is unusable.
    """
    array = volume.array
    if volume.meta.labels:
        some = ", ".join(list(volume.meta.labels.values())[:3])
        msg = f"{volume.meta.name} is a label map (its header names {some}, ...): pass the scan"
        raise InputError(msg)
    array = plain(array)
    if array.size == 0:
        msg = f"the image is empty (shape {array.shape})"
        raise InputError(msg)
    if min(array.shape) < 2:
        msg = (
            f"the image is a single slice (shape {array.shape}): a 3D scan is needed, "
            "pass the whole series"
        )
        raise InputError(msg)
    if array is not volume.array:
        volume = replace(volume, array=array)
    _ = volume.geometry
    return _finite(volume)


def plain(array: np.ndarray) -> np.ndarray:
    """The array without trailing axes of length 1, if it is then 3D with one number per voxel.

    Raises:
        InputError: RGB, vectors, complex numbers; 2D or 4D data.
    """
    if array.dtype.kind not in "buif":
        msg = (
            f"voxels of type {array.dtype} are not intensities: convert RGB or vectors to HU, or "
            "to one label per voxel"
        )
        raise InputError(msg)
    array = without_trailing_axes(array)
    if array.ndim < 3:
        msg = f"the image is {array.ndim}D (shape {array.shape}): a 3D scan is needed"
        raise InputError(msg)
    if array.ndim > 3:
        msg = (
            f"the image is {array.ndim}D (shape {array.shape}): choose one of its "
            f"{array.shape[-1]} volumes with timepoint=0..{array.shape[-1] - 1} of vista3d.read, "
            "or split the file"
        )
        raise InputError(msg)
    return array


def _finite(volume: Volume) -> Volume:
    array = volume.array
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        count = int(bad.sum())
        if count == array.size:
            msg = "every voxel is NaN or infinite: the file is damaged or was never written"
            raise InputError(msg)
        if count:
            lowest = array[~bad].min()
            volume = replace(volume, array=np.where(bad, lowest, array)).with_warning(
                f"{count} voxels were NaN or infinite and were set to {lowest:g}"
            )
    low, high = volume.array.min(), volume.array.max()
    if low == high:
        msg = f"every voxel has the same value ({low:g}): there is nothing to segment"
        raise InputError(msg)
    return volume


def _warn_if_not_hu(volume: Volume) -> Volume:
    low, high = float(volume.array.min()), float(volume.array.max())
    if low >= 0 and high <= 1.5:
        text = "looks scaled to [0, 1], not Hounsfield units: pass the original CT"
    elif low >= 0 and high <= 255:
        text = "looks like 8-bit grey values, not Hounsfield units: pass the original CT"
    elif low >= 0 and high > 1000:
        text = "has no value below 0: looks stored without its rescale intercept (-1024 HU)"
    elif low > -200:
        text = "has no air (nothing below -200 HU): cropped to soft tissue, or not CT"
    else:
        return volume
    return volume.with_warning(f"intensities {low:g}..{high:g}: {text}")
