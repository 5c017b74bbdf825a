"""Where the released scripts click (facts 5.2-5.4). All masks are bool, and clicks are voxels of
the array they were found in.

Not a user: errors are eroded before they are clicked, so that thin ones are never corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vista3d.evaluation.simulated_clicks import SimulatedClick, Voxel
from vista3d.volume import largest

CUBE, PLATE = (3, 3, 3), (3, 3, 1)

MERGED = {1: (25, 26), 4: (24,), 132: (57,)}
"""Liver with its vessels and tumours, pancreas with its tumour, airway with trachea: for clicks the
truth of the first includes the others."""


def centre(truth: np.ndarray) -> Voxel:
    """Voxel of the eroded, largest part nearest to its centroid; un-eroded where nothing is left.

    Args:
        truth: bool [i, j, k], not empty.
    """
    part = largest(_eroded(truth, CUBE))
    voxels = np.argwhere(part if part.any() else truth)
    return _voxel(voxels[np.square(voxels - voxels.mean(0)).sum(1).argmin()])


def next_error(
    truth: np.ndarray, found: np.ndarray, rng: np.random.Generator, size: Voxel = CUBE
) -> SimulatedClick | None:
    """A random voxel of the larger of the eroded largest missing and wrong parts (facts 5.4)."""
    missing = largest(_eroded(truth & ~found, size))
    extra = largest(_eroded(found & ~truth, size))
    positive = int(missing.sum()) >= int(extra.sum())
    voxel = _random(missing if positive else extra, rng)
    return None if voxel is None else SimulatedClick(voxel, positive)


@dataclass(frozen=True)
class Trial:
    """Clicks of one trial in one window."""

    positive: tuple[Voxel, ...] = ()
    negative: tuple[Voxel, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.positive or self.negative)


def trial(truth: np.ndarray, found: np.ndarray, first: bool, rng: np.random.Generator) -> Trial:
    """Clicks of a window in the protocol auto + point (facts 5.3).

    First a random voxel of the object. Then from the errors: where less is missing than wrong, or
    nothing is either, a random voxel of the object and a wrong one, else a missing one. An object
    that is not there gets one random wrong voxel, each time.
    """
    if not truth.any():
        wrong = _random(found, rng)
        return Trial() if wrong is None else Trial(negative=(wrong,))
    if first:
        return Trial(positive=_some(_random(truth, rng)))
    missing = largest(_eroded(truth & ~found, CUBE))
    extra = largest(_eroded(found & ~truth, CUBE))
    if int(missing.sum()) <= int(extra.sum()):
        return Trial(_some(_random(truth, rng)), _some(_random(extra, rng)))
    return Trial(positive=_some(_random(missing, rng)))


def _eroded(mask: np.ndarray, size: Voxel) -> np.ndarray:
    """Shrunk by a box; the border of the array does not shrink it."""
    from scipy import ndimage

    return np.asarray(ndimage.binary_erosion(mask, np.ones(size, bool), border_value=1))


def _random(mask: np.ndarray, rng: np.random.Generator) -> Voxel | None:
    voxels = np.argwhere(mask)
    return _voxel(voxels[rng.integers(len(voxels))]) if len(voxels) else None


def _some(voxel: Voxel | None) -> tuple[Voxel, ...]:
    return () if voxel is None else (voxel,)


def _voxel(values: np.ndarray) -> Voxel:
    i, j, k = values.tolist()
    return i, j, k
