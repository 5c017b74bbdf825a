"""Lungs are complete: air that borders on lung, and is as dense as lung, belongs to them.

A network that saw few chests leaves out a part of a lung where it doubts the lobe, or calls it
colon. Nothing else in a patient has this density over centimetres: bowel gas and airways hold
nearly pure air, everything solid is denser.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vista3d import anatomy
from vista3d.inference.specks import organs
from vista3d.volume import bounding_box

LOBES = anatomy.resolve(["lung"])
AIRWAYS = anatomy.resolve(["trachea", "airway"])

LESIONS = tuple(set(anatomy.STRUCTURES) - set(organs(anatomy.STRUCTURES)))
SPARED = AIRWAYS + LESIONS
"""What keeps its voxels: a ground-glass nodule, or the rim of a solid one, is as thin as lung."""

AIRY = -500.0
"""HU: lung lies below, and so does all gas; walls and vessels lie above."""

PURE = -970.0
"""HU of gas in bowel and airways, or thinner; 98% of the lung voxels of our torsos lie above."""

GAS = -930.0
"""A region whose median is below this is gas with its blurred border; lungs have -890 to -780."""

CONTACT = 0.1
"""Share of a region's surface that borders on lung, at least. Half a lobe has 0.2 and more, what a
lung encloses nearly 1, bowel below the diaphragm and the air around the patient none."""

REACH_MM = 30.0
"""From how far a missing part takes the name of its lobe."""


def missing_lung(labels: np.ndarray, hu: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """What the lungs of a label map lack.

    Args:
        labels: [i, j, k] global ids of a model that knows all lobes: the voxels of one that it does
            not know would be given to its neighbour.
        hu: [i, j, k] of the same voxels.
        spacing: mm per voxel.

    Returns:
        [i, j, k] uint8: the id of the nearest lobe where lung is missing, else 0.
    """
    import cc3d
    from scipy import ndimage

    out = np.zeros(labels.shape, np.uint8)
    lobes = np.isin(labels, LOBES)
    if not lobes.any():
        return out
    free = (hu < AIRY) & ~lobes & ~np.isin(labels, SPARED)
    regions, count = cc3d.connected_components(np.pad(free, 1), connectivity=6, return_N=True)
    regions = regions[1:-1, 1:-1, 1:-1]
    surface, shared = _faces(regions, lobes, count)
    lacking = shared > CONTACT * np.maximum(surface, 1)
    boxes = ndimage.find_objects(regions)
    for number in np.flatnonzero(lacking):
        box = boxes[number - 1]
        lacking[number] = np.median(hu[box][regions[box] == number]) > GAS
    missing = lacking[regions] & (hu > PURE)
    box = bounding_box(missing)
    if box is None:
        return out
    i, j, k = (
        slice(max(0, part.start - round(REACH_MM / s)), part.stop + round(REACH_MM / s))
        for part, s in zip(box, spacing, strict=True)
    )
    near = _nearest(np.where(lobes, labels, 0)[i, j, k], spacing)
    out[i, j, k] = np.where(missing[i, j, k], near, 0)
    return out


def _faces(regions: np.ndarray, lobes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every region [count + 1]: faces to other voxels of the array, and those to lung."""
    surface, shared = np.zeros((2, count + 1), np.int64)
    for axis in range(3):
        first, second = _neighbours(regions, axis)
        lung_first, lung_second = _neighbours(lobes, axis)
        differ = first != second
        for own, lung in ((first, lung_second), (second, lung_first)):
            surface += np.bincount(own[differ], minlength=count + 1)
            shared += np.bincount(own[differ & lung], minlength=count + 1)
    shared[0] = 0  # outside of all regions
    return surface, shared


def _neighbours(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of voxels that touch along an axis."""
    along = np.moveaxis(array, axis, 0)
    return along[:-1], along[1:]


def _nearest(lobes: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Everywhere the id of the nearest voxel that is not 0."""
    from scipy import ndimage

    places = ndimage.distance_transform_edt(
        lobes == 0, sampling=tuple(spacing), return_distances=False, return_indices=True
    )
    return np.asarray(lobes[tuple(places)])
