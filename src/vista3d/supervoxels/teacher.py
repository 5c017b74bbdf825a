"""What supervoxels are made from: a feature vector for every voxel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor

Progress = Callable[[float], None]
"""Hears the finished part, in [0, 1]."""


class Teacher(Protocol):
    """Knows what looks alike. Implementations: `IntensityTeacher`, `SamTeacher`.

    Attributes:
        name: for people.
        compactness: for `slic`: distance in features, scaled to a range of 1, that weighs as much
            as the side of a supervoxel.
        smoothing_mm: sigma of the Gaussian that features are smoothed with before clustering.
    """

    @property
    def name(self) -> str:
        """For people."""

    @property
    def compactness(self) -> float:
        """See above."""

    @property
    def smoothing_mm(self) -> float:
        """See above."""

    def features(
        self,
        hu: np.ndarray,
        spacing: tuple[float, float, float],
        shape: tuple[int, int, int],
        progress: Progress | None = None,
    ) -> Tensor:
        """Features of a scan, on a grid that spans the same box.

        Args:
            hu: [i, j, k], any number type.
            spacing: of `hu` along (i, j, k), mm.
            shape: voxels of the grid, at most those of `hu` along every axis.
            progress: hears the finished part.

        Returns:
            float32 [C, *shape] on the teacher's device.
        """
