"""Agreement of a label map with a known truth, all classes at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vista3d.errors import InputError

SLAB_VOXELS = 4_000_000


def dice(
    labels: NDArray[np.integer], truth: NDArray[np.integer], ids: Iterable[int]
) -> dict[int, float | None]:
    """Dice of every class: 2 |A and B| / (|A| + |B|), in one pass over both maps.

    Args:
        labels: global class ids (i, j, k).
        truth: global class ids on the same grid.
        ids: classes to compare.

    Returns:
        Class id -> Dice in [0, 1]; None for a class that the truth does not hold, since a truth
        may be partial and cannot speak of it.

    Raises:
        InputError: the shapes differ.
    """
    if labels.shape != truth.shape:
        msg = (
            f"the truth has the shape {truth.shape}, the scan {labels.shape}: "
            "give a label map on the grid of the scan"
        )
        raise InputError(msg)
    rows = int(max(labels.max(initial=0), truth.max(initial=0))) + 1
    found, known, both = (np.zeros(rows, np.int64) for _ in range(3))
    # Slabs along the slowest axis of the first map keep the temporaries at 30 MB.
    order = np.argsort([-abs(stride) for stride in labels.strides], kind="stable")
    first, second = labels.transpose(order), truth.transpose(order)
    step = max(1, SLAB_VOXELS // max(1, first.shape[1] * first.shape[2]))
    for start in range(0, first.shape[0], step):
        a = first[start : start + step].ravel()
        b = second[start : start + step].ravel()
        found += np.bincount(a, minlength=rows)
        known += np.bincount(b, minlength=rows)
        both += np.bincount(a[a == b], minlength=rows)
    return {
        number: float(2 * both[number] / (found[number] + known[number]))
        if number < rows and known[number]
        else None
        for number in ids
    }
