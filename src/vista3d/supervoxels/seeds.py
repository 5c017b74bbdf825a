"""Where SLIC starts: a regular grid of cells in millimetres, and which of them a place can join."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 4
"""Cells along an axis that a block of half a cell can join: all within two steps of it, the search
window of scikit-image's SLIC."""


@dataclass(frozen=True)
class Seeds:
    """A regular grid of cells over a volume.

    Attributes:
        counts: cells along (i, j, k).
        shape: voxels along (i, j, k).
        spacing: voxel size, mm.
        step: longest side of a cell, mm: the unit of distance, as in scikit-image.
    """

    counts: tuple[int, int, int]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]

    @property
    def total(self) -> int:
        """Number of cells."""
        return math.prod(self.counts)

    @property
    def sides(self) -> tuple[float, float, float]:
        """Sides of a cell in voxels (fractional)."""
        a, b, c = (n / m for n, m in zip(self.shape, self.counts, strict=True))
        return a, b, c

    @property
    def step(self) -> float:
        """Longest side of a cell, mm."""
        return max(side * mm for side, mm in zip(self.sides, self.spacing, strict=True))

    def cells(self, places: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Number of the cell at every voxel of a grid given by its indices along the axes.

        Args:
            places: voxel indices (possibly strided) along i, j and k: lengths h, w, d.

        Returns:
            int64 [h, w, d].
        """
        i, j, k = (
            (place.double() / side).long().clamp(max=count - 1)
            for place, side, count in zip(places, self.sides, self.counts, strict=True)
        )
        return (i[:, None, None] * self.counts[1] + j[:, None]) * self.counts[2] + k

    def near(self, centres: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """The cells that blocks may join: the `REACH` nearest along every axis.

        Args:
            centres: voxel coordinates of the block centres along i, j and k: lengths a, b, c.

        Returns:
            int64 [a * b * c, candidates], ascending along the second axis.
        """
        i, j, k = (
            _nearest(centre.double() / side - 0.5, count)
            for centre, side, count in zip(centres, self.sides, self.counts, strict=True)
        )
        rows = i[:, None, None, :, None, None] * self.counts[1] + j[:, None, None, :, None]
        table = rows * self.counts[2] + k[:, None, None, :]
        return table.flatten(3).flatten(0, 2)


def place_seeds(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    segments: int,
    share: float = 1.0,
) -> Seeds:
    """The grid of nearly cubic cells whose number comes closest to the request.

    Args:
        shape: voxels along (i, j, k).
        spacing: mm.
        segments: cells wanted in the part of the volume that counts.
        share: of the volume that counts, in (0, 1].
    """
    wanted = max(1.0, segments / share)
    extents = [n * mm for n, mm in zip(shape, spacing, strict=True)]
    step = (math.prod(extents) / wanted) ** (1 / 3)
    exact = [extent / step for extent in extents]
    choices = [
        sorted({min(n, max(1, round_(x))) for round_ in (math.floor, math.ceil)})
        for x, n in zip(exact, shape, strict=True)
    ]

    def misfit(counts: tuple[int, ...]) -> tuple[float, float]:
        number = abs(math.log(math.prod(counts) / wanted))
        return round(number, 6), sum(
            abs(math.log(c / x)) for c, x in zip(counts, exact, strict=True)
        )

    i, j, k = min(itertools.product(*choices), key=misfit)
    return Seeds((i, j, k), shape, spacing)


def _nearest(position: Tensor, count: int) -> Tensor:
    """The `REACH` integers in 0..count-1 around each position, in units of cells: [n, reach]."""
    reach = min(REACH, count)
    first = (position - (reach - 1) / 2).round().long().clamp(0, count - reach)
    return first[:, None] + torch.arange(reach, device=position.device)
