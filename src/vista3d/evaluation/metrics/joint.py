"""Two masks as MONAI takes them, cut to what matters."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from torch import Tensor

from vista3d.errors import UsageError
from vista3d.volume import bounding_box


def monai_metrics() -> ModuleType:
    """`monai.metrics`, imported when the first mask is scored.

    Raises:
        UsageError: MONAI is not installed.
    """
    try:
        import monai.metrics
    except ImportError as error:
        msg = "evaluation needs MONAI's metrics: `pip install vista3d[evaluate]`"
        raise UsageError(msg) from error
    return monai.metrics


def joint_box(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks in their common bounding box: outside it nothing differs and no surface runs.

    Two masks without a voxel stay as they are.
    """
    box = bounding_box(found | truth)
    return (found, truth) if box is None else (found[box], truth[box])


def one_hot(mask: np.ndarray, pad: int = 0) -> Tensor:
    """[1, 1, i, j, k] bool, with `pad` empty voxels around: the edge of a scan is a surface."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.pad(mask, pad)))[None, None]
