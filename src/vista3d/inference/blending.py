"""Blending of the class head's feature volume over windows, a few planes at a time.

Logits are linear in the features G, so blending G and multiplying by the class table once is the
same as blending K logit volumes, and its memory does not depend on K. Windows are run row by row
along the longest axis: planes that no later window touches are final, are labelled at once, and
their memory is used again. A 600-slice scan needs the features of 200 planes, not of 600.

The weights of overlapping windows are divided by their sum beforehand, so that the accumulator
holds finished values: it may then be half precision where memory is short (a bf16 accumulator
would cost about 1% of the labels, cpu_performance notes; fp16 has eight times finer steps).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vista3d.inference.presets import Preset
from vista3d.inference.windows import Slices, Triple, WindowGrid, importance

AIR = -500.0
"""HU above which a voxel can belong to a body."""

_BODY_SHARE = 1e-4
"""A window is worth its seconds from this share of tissue on: 0.7 mL of a 128^3 window at 1.5 mm;
single noisy voxels in air are less."""


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """The windows that will be run, in rows along `axis`.

    Attributes:
        grid: all windows of the volume.
        starts: of the windows with body, ordered by row.
        axis: along which rows follow each other.
    """

    grid: WindowGrid
    starts: tuple[Triple, ...]
    axis: int

    @property
    def skipped(self) -> int:
        """Windows left out for lack of body."""
        return len(self.grid.starts) - len(self.starts)

    def rows(self) -> Iterator[tuple[tuple[Triple, ...], int]]:
        """Rows of window starts, and the plane up to which (exclusive) each row is the last."""
        axis, size = self.axis, self.grid.shape[self.axis]
        rows = [tuple(row) for _, row in itertools.groupby(self.starts, key=lambda s: s[axis])]
        for row, following in itertools.zip_longest(rows, rows[1:]):
            final = size if following is None else following[0][axis] - self.grid.before[axis]
            yield row, final

    def weights(self, preset: Preset) -> tuple[np.ndarray, np.ndarray]:
        """Weight of a window's voxels [H, W, D], and the sum over all windows [h, w, d]."""
        weight = importance(self.grid.window, preset.mode)
        total = np.zeros(self.grid.shape, np.float32)
        for start in self.starts:
            inside, local = self.grid.inside(start)
            total[inside] += weight[local]
        return weight, total


def plan_windows(hu: np.ndarray, window: Triple, preset: Preset) -> WindowPlan:
    """Which windows of a volume [h, w, d] in HU will be run: all, where none has body."""
    i, j, k = hu.shape
    grid = WindowGrid.over((i, j, k), window, preset.overlap, preset.placement)
    axis = int(np.argmax(hu.shape))
    kept = [
        start
        for start in grid.starts
        if not preset.skip_air or _has_body(hu[grid.inside(start)[0]])
    ]
    starts = kept or list(grid.starts)
    return WindowPlan(grid, tuple(sorted(starts, key=lambda start: start[axis])), axis)


def _has_body(part: np.ndarray) -> bool:
    return float((part[::2, ::2, ::2] > AIR).mean()) > _BODY_SHARE


class RollingFeatures:
    """Some planes of the blended feature volume [F, h, w, d]; a ring along one axis.

    Args:
        store: zeros [F, h, w, d] with the ring's length along `axis`; its device and dtype are
            where and how the features are kept.
        axis: 0, 1 or 2.
    """

    def __init__(self, store: Tensor, axis: int) -> None:
        self._store, self._axis, self._first = store, axis, 0

    @property
    def length(self) -> int:
        """Planes that can be held at once."""
        return int(self._store.shape[1 + self._axis])

    def add(self, features: Tensor, inside: Slices, weight: Tensor) -> None:
        """Add weight [a, b, c] x features [F, a, b, c] at a box of the volume."""
        for box, part in self._pieces(inside):
            view, scale = self._store[(slice(None), *box)], weight[part]
            for channel, values in zip(view, features[(slice(None), *part)], strict=True):
                channel += values.float() * scale

    def box(self, source: Slices) -> Tensor:
        """Features of a box of the volume, [F, a, b, c] float32, contiguous."""
        parts = [self._store[(slice(None), *box)].float() for box, _ in self._pieces(source)]
        return torch.cat(parts, dim=1 + self._axis).contiguous()

    def advance(self, first: int) -> None:
        """Forget planes before `first`; their memory becomes the planes after the last."""
        whole = [slice(0, size) for size in self._store.shape[1:]]
        whole[self._axis] = slice(self._first, min(first, self._first + self.length))
        for box, _ in self._pieces((whole[0], whole[1], whole[2])):
            self._store[(slice(None), *box)] = 0
        self._first = first

    def _pieces(self, box: Slices) -> Iterator[tuple[Slices, Slices]]:
        """Slices of the store and of the box: two where the box crosses the ring's end."""
        wanted = box[self._axis]
        if wanted.start < self._first or wanted.stop > self._first + self.length:
            msg = f"planes {wanted} are not held: {self._first}..{self._first + self.length}"
            raise IndexError(msg)
        low = wanted.start
        while low < wanted.stop:
            place = low % self.length
            high = min(wanted.stop, low + self.length - place)
            ring, part = list(box), [slice(0, side.stop - side.start) for side in box]
            ring[self._axis] = slice(place, place + high - low)
            part[self._axis] = slice(low - wanted.start, high - wanted.start)
            yield (ring[0], ring[1], ring[2]), (part[0], part[1], part[2])
            low = high
