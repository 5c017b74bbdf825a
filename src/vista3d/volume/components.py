"""26-connected components: voxels that share a corner are connected, as in the released code."""

from __future__ import annotations

import numpy as np

_THIN = 5
"""cc3d 4.1.1 counts on fewer components than small arrays with an extent of 1 or 3 can have, and
raises: the ends of a line of 3 voxels, the corners of a cube of 27. One voxel of nothing behind
each axis is the remedy; no array with 5 voxels or more along every axis needs it."""


def components(mask: np.ndarray) -> np.ndarray:
    """Number the components of a mask.

    Args:
        mask: [i, j, k] bool.

    Returns:
        [i, j, k] unsigned: 1..N in raster order, 0 outside of the mask.
    """
    import cc3d

    if min(mask.shape) >= _THIN:
        return np.asarray(cc3d.connected_components(mask, connectivity=26))
    padded = cc3d.connected_components(np.pad(mask, [(0, 1)] * 3), connectivity=26)
    return np.asarray(padded[:-1, :-1, :-1])


def largest(mask: np.ndarray) -> np.ndarray:
    """Bool [i, j, k]: the component with most voxels, the first of equal ones."""
    parts = components(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    best = int(sizes.argmax())
    return np.asarray(parts == best) if best else np.zeros(mask.shape, bool)
