"""Sliding windows: where they start and how they are weighted (facts 2.2).

`regular_starts` is MONAI's rule, for the `bundle` and `paper` presets. `even_starts` is ours: the
fewest windows that overlap by at least the asked share, evenly spread, so that no window is
computed twice over almost the same place at the far border.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Mode = Literal["constant", "gaussian"]
Placement = Literal["regular", "even"]
Triple = tuple[int, int, int]
Slices = tuple[slice, slice, slice]


def regular_starts(size: int, window: int, overlap: float) -> list[int]:
    """MONAI's starts along one axis: a fixed interval, the last one shifted back to the border."""
    interval = window if size == window else max(1, int(window * (1 - overlap)))
    count = max(1, math.ceil((size - window) / interval) + 1)
    return [min(k * interval, size - window) for k in range(count)]


def even_starts(size: int, window: int, overlap: float) -> list[int]:
    """Evenly spread starts, neighbours at most `window * (1 - overlap)` apart."""
    interval = max(1, int(window * (1 - overlap)))
    count = max(1, math.ceil((size - window) / interval) + 1)
    return [round(k * (size - window) / max(1, count - 1)) for k in range(count)]


def importance(window: Triple, mode: Mode) -> np.ndarray:
    """Weight of each voxel of a window, float32 [H, W, D].

    Gaussian: sigma is an eighth of the window; clamped from below at 1e-3, or the smallest value.
    """
    if mode == "constant":
        return np.ones(window, np.float32)
    profiles = []
    for size in window:
        x = np.arange(size) - (size - 1) / 2
        profiles.append(np.exp(-(x**2) / (2 * (0.125 * size) ** 2)).astype(np.float32))
    weight = profiles[0][:, None, None] * profiles[1][:, None] * profiles[2]
    return np.asarray(np.maximum(weight, max(float(weight.min()), 1e-3)), np.float32)


@dataclass(frozen=True)
class WindowGrid:
    """The windows of a volume.

    Attributes:
        shape: of the volume, voxels.
        window: of a window, voxels.
        before: voxels padded in front of each axis where the volume is smaller than the window.
        starts: of every window in the padded volume, the last axis fastest.
    """

    shape: Triple
    window: Triple
    before: Triple
    starts: tuple[Triple, ...]

    @property
    def padded(self) -> Triple:
        """Shape after padding up to the window."""
        i, j, k = (max(n, w) for n, w in zip(self.shape, self.window, strict=True))
        return i, j, k

    @classmethod
    def over(
        cls, shape: Triple, window: Triple, overlap: float, placement: Placement = "regular"
    ) -> WindowGrid:
        """Cover a volume of `shape`."""
        rule = regular_starts if placement == "regular" else even_starts
        lengths = [max(n, w) for n, w in zip(shape, window, strict=True)]
        before = [(n - s) // 2 for n, s in zip(lengths, shape, strict=True)]
        axes = [rule(n, w, overlap) for n, w in zip(lengths, window, strict=True)]
        starts = tuple((a, b, c) for a, b, c in itertools.product(*axes))
        return cls(shape, window, (before[0], before[1], before[2]), starts)

    def inside(self, start: Triple) -> tuple[Slices, Slices]:
        """Where a window meets the unpadded volume: slices of the volume, slices of the window."""
        i, j, k = (s - b for s, b in zip(start, self.before, strict=True))
        return clip((i, j, k), self.window, self.shape)

    def nearest(self, start: Triple) -> tuple[Slices, Slices]:
        """As `inside`, of the voxels that no other window's centre is nearer to, along each axis.

        Of two windows as near, the later one has the voxel: every voxel belongs to one window.
        """
        inside, local = [], []
        axes = zip(*self.starts, strict=True)
        for s, w, n, b, starts in zip(
            start, self.window, self.shape, self.before, axes, strict=True
        ):
            low = max((other + s + w) // 2 for other in starts if other < s) if s else b
            high = min(((s + other + w) // 2 for other in starts if other > s), default=b + n)
            inside.append(slice(low - b, high - b))
            local.append(slice(low - s, high - s))
        return (inside[0], inside[1], inside[2]), (local[0], local[1], local[2])


def clip(start: Triple, window: Triple, shape: Triple) -> tuple[Slices, Slices]:
    """Where a window meets the volume: slices of the volume, slices of the window."""
    inside, local = [], []
    for s, w, n in zip(start, window, shape, strict=True):
        low, high = max(s, 0), min(s + w, n)
        inside.append(slice(low, high))
        local.append(slice(low - s, high - s))
    return (inside[0], inside[1], inside[2]), (local[0], local[1], local[2])
