"""Where the patient is: what lies outside, on the table or in the air, is no structure.

A network that saw few tables labels bits of them. Tables are thin shells around foam that is nearly
air, and clothes are thin: what is solid around something thick is the patient, and so is the air
that it encloses in an axial plane, such as lungs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vista3d.volume import components

SOLID = -300.0
"""HU: fat lies above, foam and lung below."""

AIR = -920.0
"""HU of half of a region or more where it is air, with whatever lies about in it, and not the lung
that the crop of a chest may end in."""

THIN_MM = 3.0
"""Depth that is taken off: shells of up to 6 mm vanish, chest walls do not."""

SHARE = 0.005
"""Of the thickest thing that is a part of the patient: hands stay, rails of a table go."""

ROOM_MM = 6.0
"""Beyond the patient's surface that still counts as patient."""


def body(hu: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The patient, with room around.

    Args:
        hu: [i, j, k], k along the patient (RAS).
        spacing: mm per voxel.

    Returns:
        bool [i, j, k]; all True where nothing is thick.
    """
    depth, room = (
        tuple(2 * max(1, round(mm / s)) + 1 for s in spacing) for mm in (THIN_MM, ROOM_MM)
    )
    solid = hu > SOLID
    thick = _least(solid, depth)
    parts = components(thick)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    if not sizes.any():
        return np.ones(hu.shape, bool)
    thick = np.isin(parts, np.flatnonzero(sizes >= max(1, SHARE * sizes.max())))
    surface = solid & _most(_most(thick, depth), room)
    return _most(~_around(surface, hu), room)


def _around(solid: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """What reaches the border of its axial plane without crossing anything solid, if it is air."""
    from scipy import ndimage

    plane = np.zeros((3, 3, 3), bool)
    plane[:, 1, 1] = plane[1, :, 1] = True
    regions, count = ndimage.label(~solid, plane)
    rims = regions[[0, -1]], regions[:, [0, -1]]
    outer = np.unique(np.concatenate([rim.ravel() for rim in rims]))
    outer = outer[outer > 0]
    air = np.zeros(count + 1, bool)
    air[outer] = ndimage.median(hu, regions, outer) < AIR
    return np.asarray(air[regions])


def _least(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Erosion by a box; beyond the array lies more of the same."""
    from scipy import ndimage

    return np.asarray(ndimage.minimum_filter(mask.view(np.uint8), size, mode="nearest").view(bool))


def _most(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Dilation by a box."""
    from scipy import ndimage

    return np.asarray(ndimage.maximum_filter(mask.view(np.uint8), size, mode="nearest").view(bool))
