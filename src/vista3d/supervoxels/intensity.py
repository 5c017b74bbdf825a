"""Features for machines without SAM: what a radiologist's windows show, at two scales.

Each window stretches the contrast of one kind of tissue over [0, 1] and is flat elsewhere, so that
30 HU between liver and spleen weigh as much as 300 between lung and fat. A gradient magnitude
keeps supervoxels from leaking through thin walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vista3d.supervoxels.resampling import resize, smooth
from vista3d.supervoxels.teacher import Progress
from vista3d.supervoxels.threads import one_thread


@dataclass(frozen=True)
class Window:
    """A stretch of Hounsfield units that becomes [0, 1].

    Attributes:
        low, high: HU.
        weight: of the channels in the distance.
    """

    low: float
    high: float
    weight: float


WINDOWS = (
    Window(-60, 200, 1.0),  # organs, muscle, vessels with and without contrast
    Window(-1000, -200, 0.7),  # lung, airways, air in the bowel
    Window(-200, 0, 0.5),  # fat and its borders
    Window(150, 900, 0.7),  # bone
)
SCALES_MM = (1.2, 3.0)
"""Sigma of the Gaussians: the first takes most of the noise of a 1 mm CT, the second shows what a
place is part of."""
GRADIENT_WEIGHT = 0.5
"""Of the gradient magnitude of the soft-tissue window over one small sigma."""


@dataclass(frozen=True)
class IntensityTeacher:
    """Smoothed multi-scale intensities and gradients; needs no weights."""

    device: str = "cpu"
    name: str = "intensity"
    compactness: float = 0.3
    smoothing_mm: float = 0.0

    @one_thread()
    def features(
        self,
        hu: np.ndarray,
        spacing: tuple[float, float, float],
        shape: tuple[int, int, int],
        progress: Progress | None = None,
    ) -> Tensor:
        """See `Teacher`: 9 channels, four windows at two scales and one gradient."""
        volume = resize(torch.from_numpy(np.asarray(hu, np.float32)).to(self.device), shape)
        size = [mm * n / m for mm, n, m in zip(spacing, hu.shape, shape, strict=True)]
        channels: list[Tensor] = []
        for window in WINDOWS:
            shown = ((volume - window.low) / (window.high - window.low)).clamp(0, 1)
            for sigma in SCALES_MM:
                i, j, k = (sigma / mm for mm in size)
                channels.append(smooth(shown, (i, j, k)) * window.weight)
                if progress is not None:
                    progress(len(channels) / (len(WINDOWS) * len(SCALES_MM)))
        channels.append(_slope(channels[0], size, SCALES_MM[0]) * GRADIENT_WEIGHT)
        return torch.stack(channels)


def _slope(volume: Tensor, spacing: list[float], length: float) -> Tensor:
    """Gradient magnitude per `length` mm: [h, w, d]."""
    total = torch.zeros_like(volume)
    for axis, mm in enumerate(spacing):
        if volume.shape[axis] > 1:
            total += (torch.gradient(volume, spacing=mm, dim=axis)[0] * length).square_()
    return total.sqrt_()
