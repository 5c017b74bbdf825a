"""How the labels are spread along the three axes: one pass that every output shares.

Volumes, centroids, bounding boxes, the truncation flag, the extents of a seg.nrrd and the planes
of a preview all follow from the same small table: the number of voxels of each label at each
index of each axis. It is gathered once, over foreground voxels only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vista3d.anatomy import described

if TYPE_CHECKING:
    from vista3d.anatomy import Structure

SLAB_VOXELS = 1_000_000
"""Voxels looked at together: at most about 60 MB of temporaries, however large the scan is."""


@dataclass(frozen=True)
class Profile:
    """Voxel counts of each label along each axis, with the sums of the intensities.

    Attributes:
        shape: (ni, nj, nk) of the label map.
        along: for axis a an int64 array [top + 1, shape[a]]: voxels of a label at an index.
        intensity_sum: float64 [top + 1], HU summed per label; None when no image was given.
        intensity_square: float64 [top + 1], HU squared and summed.
    """

    shape: tuple[int, int, int]
    along: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    intensity_sum: NDArray[np.float64] | None = None
    intensity_square: NDArray[np.float64] | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Voxels per label, int64 [top + 1]; entry 0 is unused (background is not visited)."""
        return np.asarray(self.along[0].sum(axis=1))

    def present(self) -> tuple[int, ...]:
        """Labels that have at least one voxel, ascending, without background."""
        return tuple(int(label) for label in np.flatnonzero(self.counts))

    def count(self, label: int) -> int:
        """Voxels of one label; 0 where the label map never reaches it."""
        return int(self.counts[label]) if label < len(self.along[0]) else 0

    def found(self, ids: Iterable[int | Structure]) -> list[Structure]:
        """Those of the structures that have a voxel."""
        return [s for s in described(ids).values() if self.count(s.id)]

    def box(self, label: int) -> tuple[tuple[int, int], ...]:
        """First and last voxel index of a present label along each axis, both inclusive."""
        edges = []
        for counts in self.along:
            where = np.flatnonzero(counts[label])
            edges.append((int(where[0]), int(where[-1])))
        return tuple(edges)


def profile_labels(
    labels: NDArray[np.integer], image: NDArray[np.generic] | None = None
) -> Profile:
    """Count the labels along every axis, and sum the image under each label.

    Args:
        labels: label map (i, j, k), any unsigned integer type, 0 is background.
        image: intensities in HU on the same grid, any real type.

    Returns:
        The profile. Extra memory: `SLAB_VOXELS` times about 60 bytes.

    Raises:
        ValueError: the label map is not three-dimensional or the shapes differ.
    """
    if labels.ndim != 3:
        msg = f"a label map has three axes, this one has the shape {labels.shape}"
        raise ValueError(msg)
    if image is not None and image.shape != labels.shape:
        msg = f"image {image.shape} and labels {labels.shape} must share one grid"
        raise ValueError(msg)
    rows = int(labels.max(initial=0)) + 1
    # Walking along the axis with the longest stride keeps every slab contiguous in memory,
    # whether the array came from NIfTI (first axis fastest) or from numpy (last axis fastest).
    order = np.argsort([-abs(stride) for stride in labels.strides], kind="stable")
    walked = labels.transpose(order)
    pictured = None if image is None else image.transpose(order)
    tables = [np.zeros((rows, size), np.int64) for size in walked.shape]
    total, square = np.zeros(rows), np.zeros(rows)
    step = max(1, SLAB_VOXELS // max(1, walked.shape[1] * walked.shape[2]))
    for start in range(0, walked.shape[0], step):
        slab = np.ascontiguousarray(walked[start : start + step])
        inside = np.flatnonzero(slab)
        if not inside.size:
            continue
        label = slab.ravel()[inside].astype(np.int64)
        coordinates = np.unravel_index(inside, slab.shape)
        for axis, table in enumerate(tables):
            index = coordinates[axis] + (start if axis == 0 else 0)
            size = table.shape[1]
            table += np.bincount(label * size + index, minlength=rows * size).reshape(rows, size)
        if pictured is not None:
            part = np.ascontiguousarray(pictured[start : start + step]).ravel()
            values = part[inside].astype(np.float64)
            total += np.bincount(label, weights=values, minlength=rows)
            square += np.bincount(label, weights=values * values, minlength=rows)
    back = np.argsort(order)
    along = (tables[back[0]], tables[back[1]], tables[back[2]])
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    if image is None:
        return Profile(shape, along)
    return Profile(shape, along, total, square)
