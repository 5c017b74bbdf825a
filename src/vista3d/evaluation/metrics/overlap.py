"""Dice: 2 |A and B| / (|A| + |B|)."""

from __future__ import annotations

import numpy as np

from vista3d.evaluation.metrics.joint import joint_box, monai_metrics, one_hot


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Overlap of two masks in [0, 1], by MONAI's `compute_dice`, as the released scripts have it.

    Args:
        found: bool [i, j, k], the prediction.
        truth: bool [i, j, k].

    Returns:
        NaN where the truth is empty.
    """
    a, b = joint_box(found, truth)
    return float(monai_metrics().compute_dice(one_hot(a), one_hot(b), ignore_empty=True))
