"""Pieces of an organ that are too small to be a part of it are taken out of a label map.

A window that shows no head may find a spinal cord in a humerus, or a rib on the table. Organs hang
together; lesions come in small pieces, and keep them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from vista3d import anatomy
from vista3d.volume import components

SHARE, VOLUME_ML = 0.1, 2.0
"""A speck is smaller than this share of the largest piece, and than this volume."""

GRID_MM = 3.0
"""Pieces are looked for on voxels so far apart: 0.1 s for 512 x 512 x 600 voxels, of which all take
3.6 s. What lies between them, less than 30 mm3, stays."""


_ANATOMY = "123037004"
"""SNOMED CT: Anatomical Structure; lesions are morphologically altered ones."""


def organs(classes: Iterable[int]) -> tuple[int, ...]:
    """The ids that are normal anatomy; classes of a model's own may be anything, and are not."""
    known = anatomy.STRUCTURES
    return tuple(i for i in classes if i in known and known[i].category.value == _ANATOMY)


def remove_specks(labels: np.ndarray, spacing: Sequence[float], classes: Collection[int]) -> int:
    """Set the specks of some classes to 0.

    Args:
        labels: [i, j, k] ids, 0 background; changed in place.
        spacing: mm per voxel.
        classes: ids to look at.

    Returns:
        How many specks there were.
    """
    if not classes:
        return 0
    import cc3d

    # At least one sample along every axis: two slices of 0.7 mm are 1.4 mm thick.
    step = np.array(
        [max(1, min(round(GRID_MM / s), n)) for s, n in zip(spacing, labels.shape, strict=True)]
    )
    samples = labels[tuple(slice(s // 2, None, s) for s in step)]
    samples = np.where(np.isin(samples, list(classes)), samples, 0)
    # With a border of nothing: cc3d 4.1.1 fails on extents below 5 (`volume.components`).
    pieces = cc3d.connected_components(np.pad(samples, 1), connectivity=26)[1:-1, 1:-1, 1:-1]
    sizes = np.bincount(pieces.ravel())
    owner = np.zeros(len(sizes), np.int64)
    owner[pieces.ravel()] = samples.ravel()
    largest = np.zeros(int(owner.max()) + 1, np.int64)
    np.maximum.at(largest, owner, sizes)
    sample_ml = float(np.prod(spacing * step)) / 1000
    small = sizes < np.minimum(SHARE * largest[owner], VOLUME_ML / sample_ml)
    small[0] = False
    for number, points in _points(pieces, np.flatnonzero(small)):
        low, high = points.min(0), points.max(0) + 1
        box = tuple(slice(max(0, a - 2), b + 2) for a, b in zip(low, high, strict=True))
        others = np.argwhere((samples[box] == owner[number]) & (pieces[box] != number))
        others += [part.start for part in box]
        fine = tuple(
            slice(part.start * s, part.stop * s) for part, s in zip(box, step, strict=True)
        )
        start = [part.start for part in fine]
        _erase(labels[fine], owner[number], points * step + step // 2 - start,
               others * step + step // 2 - start)  # fmt: skip
    return int(small.sum())


def _points(pieces: np.ndarray, numbers: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The samples [n, 3] of some pieces."""
    places = np.argwhere(np.isin(pieces, numbers))
    of = pieces[tuple(places.T)]
    return [(int(number), places[of == number]) for number in numbers]


def _erase(labels: np.ndarray, class_id: int, specks: np.ndarray, kept: np.ndarray) -> None:
    """Remove the components that contain a voxel [n, 3] of `specks` and none of `kept`."""
    parts = components(labels == class_id)
    doomed = set(parts[tuple(specks.T)].tolist()) - set(parts[tuple(kept.T)].tolist())
    labels[np.isin(parts, list(doomed))] = 0
