"""Where a simulated user clicks (paper section 4.3, Fig. 5): from the truth, and from the error.

The policy `largest error`: the first click is the centre of the object; each next one the centre
of the largest connected region that is wrong, positive where something is missing, negative where
there is too much. "Centre" is the voxel deepest inside the region, in millimetres, so that a click
never lies beside a curved structure. There is no chance in it: what a careful user does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vista3d.inference.windows import Slices
from vista3d.volume import bounding_box, largest

Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class SimulatedClick:
    """Voxel (i, j, k), and whether it is positive."""

    position: Voxel
    positive: bool


def next_click(
    truth: np.ndarray, found: np.ndarray, spacing: tuple[float, float, float]
) -> SimulatedClick | None:
    """The centre of the largest region that is wrong; None where nothing is.

    Args:
        truth: bool [i, j, k].
        found: the same, the prediction; empty before the first click, which then is the centre of
            the object.
        spacing: mm per voxel.
    """
    box = bounding_box(truth ^ found)
    if box is None:
        return None
    truth, found = truth[box], found[box]
    missing, extra = largest(truth & ~found), largest(found & ~truth)
    positive = bool(missing.sum() >= extra.sum())
    region = missing if positive else extra
    return SimulatedClick(_moved(_centre(region, spacing), box), positive)


def _centre(region: np.ndarray, spacing: tuple[float, float, float]) -> Voxel:
    """The deepest voxel; of equally deep ones, the one nearest to their mean."""
    from scipy import ndimage

    voxels = np.argwhere(region)
    low, high = voxels.min(0), voxels.max(0) + 1
    part = region[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    depth = ndimage.distance_transform_edt(np.pad(part, 1), spacing)[1:-1, 1:-1, 1:-1]
    best = np.argwhere(depth >= depth.max() - 1e-6)
    i, j, k = (best[np.square(best - best.mean(0)).sum(1).argmin()] + low).tolist()
    return i, j, k


def _moved(voxel: Voxel, box: Slices) -> Voxel:
    i, j, k = (x + part.start for x, part in zip(voxel, box, strict=True))
    return i, j, k
