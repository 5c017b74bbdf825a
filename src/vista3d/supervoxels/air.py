"""The air around the patient."""

from __future__ import annotations

import numpy as np

from vista3d.volume import components

AIR_HU = -800.0
"""Below it a voxel may be air around the patient (released code; facts 4)."""
OPEN_HU = -930.0
"""The median of a region of air around a patient is near -1000 HU, of lung near -850."""
SPECK_ML = 1.0
"""What is not air and smaller than this is a cable or noise."""


def outside_air(hu: np.ndarray, voxel_ml: float) -> np.ndarray:
    """The largest 26-connected region below -800 HU, closed by a 3x3x3 cube, and specks in it.

    Unlike the released code, lung is not air: a scan cropped to the chest, whose largest dark
    region is a lung, has no air around the patient.

    Args:
        hu: [i, j, k].
        voxel_ml: volume of a voxel, mL.

    Returns:
        bool [i, j, k].
    """
    parts = components(np.asarray(hu < AIR_HU))
    size = _sizes(parts)
    size[0] = 0
    if not size.any():
        return np.zeros(hu.shape, bool)
    air = np.asarray(parts == size.argmax())
    del parts
    if np.median(hu[air]) > OPEN_HU:
        return np.zeros(hu.shape, bool)
    air = ~_spread(~_spread(air))
    things = components(~air)
    speck = _sizes(things) * voxel_ml < SPECK_ML
    speck[0] = True
    if speck.all():
        return air  # a scan of nothing but small things is left alone
    return np.asarray(speck[things])


def _sizes(parts: np.ndarray) -> np.ndarray:
    """Voxels of every region; some planes at a time, for numpy counts in a copy of 8 bytes each."""
    total = np.zeros(int(parts.max(initial=0)) + 1, np.int64)
    for start in range(0, len(parts), 32):
        total += np.bincount(parts[start : start + 32].ravel(), minlength=len(total))
    return total


def _spread(mask: np.ndarray) -> np.ndarray:
    """Dilation by a 3x3x3 cube; outside the array is nothing."""
    for axis in range(3):
        wide = mask.copy()
        to, source = np.moveaxis(wide, axis, 0), np.moveaxis(mask, axis, 0)
        to[1:] |= source[:-1]
        to[:-1] |= source[1:]
        mask = wide
    return mask
