"""From a mask in a slice to closed polygons, holes joined to their outline by a keyhole.

The outline runs half-way between the centres of neighbouring voxels, so that exactly the centres
of the mask lie inside it. DICOM's closed planar contours have no holes: an inner outline is
reached through a channel of no width (PS3.3 C.8.8.6.3), which readers that fill all contours of a
slice and readers that take their exclusive-or understand alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
"""[N, 2] row and column, the first point not repeated at the end."""


def outlines(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Polygons (row, column) around the True pixels of a slice [row, column].

    One per island of face neighbours: pixels that touch by a corner only are separate.
    """
    from scipy import ndimage
    from skimage.measure import find_contours

    padded = np.pad(mask, 1)
    numbers, count = ndimage.label(padded)
    borders: list[Polygon] = [np.empty((0, 2))] * count
    holes: list[list[Polygon]] = [[] for _ in range(count)]
    for closed in find_contours(padded.astype(np.float64), 0.5):
        ring = closed[:-1]
        # Its first point lies between a pixel of the island and one of the background.
        island = max(numbers[tuple(side)] for side in _neighbours(ring[0])) - 1
        # scikit-image keeps the high values on one side: islands turn one way, holes the other.
        if _signed_area(ring) < 0:
            borders[island] = _corners(ring - 1)
        else:
            holes[island].append(_corners(ring - 1))
    return [_keyholed(border, inner) for border, inner in zip(borders, holes, strict=True)]


def _neighbours(point: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.floor(point).astype(np.int64), np.ceil(point).astype(np.int64)


def _corners(ring: Polygon) -> Polygon:
    """Leave out points on a straight line between their neighbours."""
    before = ring - np.roll(ring, 1, axis=0)
    after = np.roll(ring, -1, axis=0) - ring
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.asarray(ring[turn != 0])


def _signed_area(ring: Polygon) -> float:
    rows, columns = ring.T
    return float(rows @ np.roll(columns, -1) - columns @ np.roll(rows, -1)) / 2


def _keyholed(border: Polygon, holes: list[Polygon]) -> Polygon:
    """One polygon that leaves the border for each hole, walks around it, and comes back.

    A channel may cross another hole: it is walked twice, so it adds nothing to either side.
    """
    from scipy.spatial import KDTree

    if not holes:
        return border
    tree = KDTree(border)
    detours: dict[int, list[Polygon]] = {}
    for hole in holes:
        distance, nearest = tree.query(hole)
        start = int(distance.argmin())
        gate = int(nearest[start])
        around = np.roll(hole, -start, axis=0)
        detours.setdefault(gate, []).extend([around, around[:1], border[gate : gate + 1]])
    pieces = []
    for n in range(len(border)):
        pieces += [border[n : n + 1], *detours.get(n, [])]
    return np.concatenate(pieces)
