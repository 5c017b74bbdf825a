"""Smooth random fields on a voxel grid."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def smooth_noise(shape: tuple[int, ...], scale: float, generator: torch.Generator) -> Tensor:
    """Unit-variance noise [H, W, D] float32 whose grain is about `scale` voxels."""
    coarse = [max(2, int(np.ceil(size / scale)) + 1) for size in shape]
    noise = torch.randn(1, 1, *coarse, generator=generator)
    noise = F.interpolate(noise, size=shape, mode="trilinear", align_corners=True)[0, 0]
    return (noise - noise.mean()) / noise.std().clamp_min(1e-3)
