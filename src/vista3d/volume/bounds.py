"""Where the set voxels of an array are."""

from __future__ import annotations

import numpy as np


def bounding_box(values: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Smallest box around the set voxels of [i, j, k]; None where there are none."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(values.any(others)) if values.size else np.zeros(0, int)
        if not len(filled):
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return box[0], box[1], box[2]
