"""Voxels in small boxes that share their candidate clusters: distances become matrix products.

A voxel is a row: its features, its position and a one, in the unit of SLIC's distance and relative
to the middle of the volume. |x - c|^2 = |x|^2 - 2 (x . c - |c|^2 / 2), and |x|^2 is the same for
every candidate, so that the nearest one has the largest product of a row with (c, -|c|^2 / 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vista3d.supervoxels.seeds import Seeds

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Space:
    """The unit and the origin of rows.

    Attributes:
        seeds: the grid of cells; its step is the unit of distance.
        middle: float32 [C], mean of every channel: small numbers keep their digits in products.
        scale: from features to the unit of distance.
    """

    seeds: Seeds
    middle: Tensor
    scale: float

    def features(self, values: Tensor) -> Tensor:
        """[C, ...] -> float32 [C, ...] in the unit of distance."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        return (values.float() - self.middle.view(shape)).mul_(self.scale)

    def positions(self, index: Tensor, axis: int) -> Tensor:
        """Voxel indices along an axis -> float32, in the unit of distance."""
        seeds = self.seeds
        middle = (seeds.shape[axis] - 1) / 2
        return (index - middle).float() * (seeds.spacing[axis] / seeds.step)


@dataclass(frozen=True)
class Grid:
    """Every `stride`-th voxel of a volume, in boxes of `side` of them; the last ones are padded.

    Attributes:
        shape: voxels of the volume along (i, j, k).
        stride: between voxels that take part.
        side: of a box, in voxels that take part.
    """

    shape: Triple
    stride: int
    side: Triple

    @property
    def places(self) -> list[range]:
        """Along every axis, the indices of the voxels that take part."""
        return [range(min(self.stride // 2, n - 1), n, self.stride) for n in self.shape]

    @property
    def counts(self) -> Triple:
        """Boxes along every axis."""
        i, j, k = (
            -(-len(places) // side) for places, side in zip(self.places, self.side, strict=True)
        )
        return i, j, k

    def planes(self, slab: int) -> range:
        """Indices along the first axis that a slab of boxes holds."""
        return self.places[0][slab * self.side[0] : (slab + 1) * self.side[0]]

    def centres(self, axis: int) -> Tensor:
        """Middle of each box along an axis, in voxel edges (voxel n spans n to n + 1)."""
        places, side = self.places[axis], self.side[axis]
        parts = [places[n : n + side] for n in range(0, len(places), side)]
        return torch.tensor([(part[0] + part[-1] + 1) / 2 for part in parts])

    def to_boxes(self, planes: Tensor) -> Tensor:
        """A slab [..., planes, rows, columns] -> [boxes, voxels, ...], zero in the padding."""
        (p, q, r), (_, b, c) = self.side, self.counts
        short = [n - m for n, m in zip((p, b * q, c * r), planes.shape[-3:], strict=True)]
        if any(short):
            planes = F.pad(planes, (0, short[2], 0, short[1], 0, short[0]))
        channels = planes.shape[:-3]
        parts = planes.reshape(-1, p, b, q, c, r).permute(2, 4, 1, 3, 5, 0)
        return parts.reshape(b * c, p * q * r, *channels)

    def to_planes(self, values: Tensor, slab: int) -> Tensor:
        """[boxes, voxels] of a slab -> [planes, rows, columns]."""
        (p, q, r), (_, b, c) = self.side, self.counts
        planes = values.reshape(b, c, p, q, r).permute(2, 0, 3, 1, 4).reshape(p, b * q, c * r)
        h, w, d = len(self.planes(slab)), len(self.places[1]), len(self.places[2])
        return planes[:h, :w, :d]

    def take(self, values: Tensor, slab: int) -> Tensor:
        """The voxels of a slab from a volume [..., h, w, d]."""
        i, j, k = (
            slice(x[0], x[-1] + 1, self.stride) for x in (self.planes(slab), *self.places[1:])
        )
        return values[..., i, j, k]

    def _is_padded(self, slab: int) -> bool:
        lengths = (len(self.planes(slab)), len(self.places[1]), len(self.places[2]))
        return any(n % side for n, side in zip(lengths, self.side, strict=True))

    def _write_features(self, rows: Tensor, values: Tensor, space: Space) -> None:
        """Features of a slab [C, planes, rows, columns] into [boxes, voxels, C + 4], in one pass:
        the many channels are most of the memory that SLIC moves."""
        (p, q, r), (_, b, c) = self.side, self.counts
        target = rows.view(b, c, p, q, r, -1)[..., : len(values)]
        values = values.float()
        offset = -space.scale * space.middle
        if values.shape[1:] == (p, b * q, c * r):
            parts = values.view(-1, p, b, q, c, r).permute(2, 4, 1, 3, 5, 0)
            torch.add(offset, parts, alpha=space.scale, out=target)
        else:
            shape = (-1, 1, 1, 1)
            scaled = torch.add(offset.view(shape), values, alpha=space.scale)
            target.copy_(self.to_boxes(scaled).view(b, c, p, q, r, -1))

    def rows(self, features: Tensor, space: Space, slab: int) -> Tensor:
        """The rows of a slab: float32 [boxes, voxels, C + 4], zero in the padding."""
        values = self.take(features, slab)
        boxes, voxels = math.prod(self.counts[1:]), math.prod(self.side)
        make = features.new_zeros if self._is_padded(slab) else features.new_empty
        rows = make((boxes, voxels, len(values) + 4), dtype=torch.float32)
        self._write_features(rows, values, space)
        along = [self.planes(slab), *self.places[1:]]
        where = torch.meshgrid(
            [
                space.positions(torch.tensor(x, device=values.device), axis)
                for axis, x in enumerate(along)
            ],
            indexing="ij",
        )
        rows[..., -4:] = self.to_boxes(torch.stack([*where, torch.ones_like(where[0])]))
        return rows


@dataclass(frozen=True)
class Blocks:
    """A slab of boxes.

    Attributes:
        rows: float32 [boxes, voxels, C + 4]: features, position (i, j, k), one.
        weight: float32 [boxes, voxels], 1, or 0 for voxels that do not count.
        near: int64 [boxes, candidates], the cells whose clusters a voxel may join.
        cells: int64 [boxes, voxels], the cell of every voxel.
    """

    rows: Tensor
    weight: Tensor
    near: Tensor
    cells: Tensor


def cut_blocks(features: Tensor, mask: Tensor | None, space: Space, grid: Grid) -> Iterator[Blocks]:
    """Cut a volume into slabs of boxes.

    Args:
        features: [C, h, w, d], any float type.
        mask: bool [h, w, d], the voxels that count; None is all.
        space: of the volume.
        grid: boxes of at most half a cell.
    """
    seeds, device = space.seeds, features.device
    i, j, k = (grid.centres(axis).to(device) for axis in range(3))
    for slab in range(grid.counts[0]):
        rows = grid.rows(features, space, slab)
        weight = rows[..., -1]
        if mask is not None:
            weight = grid.to_boxes(grid.take(mask, slab).float())
        places = [torch.tensor(x, device=device) for x in (grid.planes(slab), *grid.places[1:])]
        cells = grid.to_boxes(seeds.cells((places[0], places[1], places[2])))
        yield Blocks(rows, weight, seeds.near((i[slab : slab + 1], j, k)), cells)
