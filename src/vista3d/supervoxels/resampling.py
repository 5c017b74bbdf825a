"""Linear resampling and smoothing, one axis at a time, on any device.

Grids span the same box: voxel n of N covers [n / N, (n + 1) / N] of it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TAIL = 3.0
"""Sigmas at which a Gaussian is cut: 0.3% of its weight is beyond."""


def taps(size: int, out: int, part: float = 1.0) -> Tensor:
    """The matrix that resamples an axis: bilinear where it enlarges, a triangle of twice the new
    voxel where it reduces, so that nothing between the samples is lost.

    Args:
        size: samples along the axis.
        out: samples wanted.
        part: of the axis, from its start, that they span.

    Returns:
        float32 [out, size]; every row adds up to 1.
    """
    scale = size * part / out
    centre = (torch.arange(out, dtype=torch.float64) + 0.5) * scale - 0.5
    # Beyond the ends the border sample goes on, as in torch's interpolation.
    centre = centre.clamp(0, size - 1)[:, None]
    weight = 1 - (torch.arange(size, dtype=torch.float64) - centre).abs() / max(1.0, scale)
    weight = weight.clamp(min=0)
    return (weight / weight.sum(1, keepdim=True)).float()


def resize(volume: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Resample [..., h, w, d] to [..., *shape], float32."""
    volume = volume.float()
    for axis, out in zip((-3, -2, -1), shape, strict=True):
        size = volume.shape[axis]
        if size != out:
            matrix = taps(size, out).to(volume.device)
            volume = torch.tensordot(volume, matrix, dims=([axis], [1])).movedim(-1, axis)
    return volume.contiguous()


def smooth(volume: Tensor, sigmas: tuple[float, float, float]) -> Tensor:
    """Gaussian smoothing of [h, w, d] by sigmas in voxels, borders mirrored; float32."""
    volume = volume.float()
    for axis, sigma in enumerate(sigmas):
        volume = _blur(volume, axis, sigma)
    return volume


def _blur(volume: Tensor, axis: int, sigma: float) -> Tensor:
    size = volume.shape[axis]
    reach = min(math.ceil(_TAIL * sigma), size - 1)
    if sigma <= 0 or reach < 1:
        return volume
    weight = [math.exp(-0.5 * (n / sigma) ** 2) for n in range(reach + 1)]
    total = weight[0] + 2 * sum(weight[1:])
    before = volume.narrow(axis, 0, reach).flip(axis)
    after = volume.narrow(axis, size - reach, reach).flip(axis)
    padded = torch.cat([before, volume, after], axis)
    out = volume * (weight[0] / total)
    for n in range(1, reach + 1):
        for start in (reach - n, reach + n):
            out.add_(padded.narrow(axis, start, size), alpha=weight[n] / total)
    return out
