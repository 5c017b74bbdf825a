"""How far two surfaces lie apart, in millimetres on the scan's own grid.

A sheared grid (gantry tilt) is measured along its axes as if they were orthogonal.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np

from vista3d.evaluation.metrics.joint import joint_box, monai_metrics, one_hot

Spacing = tuple[float, float, float]


def surface_dice(
    found: np.ndarray, truth: np.ndarray, spacing: Spacing, tolerance_mm: float
) -> float:
    """Normalised surface Dice: the share of both surfaces within a tolerance of the other one.

    Surfaces are weighted by their area (Nikolov et al. 2018), so that thick slices count rightly.

    Args:
        found: bool [i, j, k], the prediction, not empty.
        truth: bool [i, j, k], not empty.
        spacing: mm per voxel along (i, j, k).
        tolerance_mm: distance that counts as agreement.
    """
    a, b = (one_hot(mask, 1) for mask in joint_box(found, truth))
    metric = monai_metrics().compute_surface_dice
    with _no_deprecations():
        value = metric(
            a,
            b,
            [tolerance_mm],
            include_background=True,
            spacing=_floats(spacing),
            use_subvoxels=True,
        )
    return float(value)


def hausdorff95(found: np.ndarray, truth: np.ndarray, spacing: Spacing) -> float:
    """95th percentile of the distances between the surfaces, the larger direction, mm.

    Args:
        found: bool [i, j, k], the prediction, not empty.
        truth: bool [i, j, k], not empty.
        spacing: mm per voxel along (i, j, k).
    """
    a, b = (one_hot(mask, 1) for mask in joint_box(found, truth))
    metric = monai_metrics().compute_hausdorff_distance
    with _no_deprecations():
        return float(metric(a, b, include_background=True, percentile=95, spacing=_floats(spacing)))


def _floats(spacing: Spacing) -> Spacing:
    """MONAI refuses integers among the lengths."""
    i, j, k = map(float, spacing)
    return i, j, k


@contextlib.contextmanager
def _no_deprecations() -> Iterator[None]:
    """MONAI 1.6 warns of an argument that it passes to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
