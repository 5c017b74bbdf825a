"""The nearest cluster of every voxel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vista3d.supervoxels.blocks import Grid, Space
from vista3d.supervoxels.sums import add_rows

BOX = 8
"""Voxels a side of a box of the last assignment."""
_CPU_SCORES, _GPU_SCORES = 2**20, 2**27
"""Distances computed at once: 4 MB stay in the cache; 512 MB fill a GPU."""


def table_of(centres: Tensor) -> Tensor:
    """What a row is multiplied by to compare clusters.

    Args:
        centres: float32 [cells, C + 4], mean features and position, and the number of voxels.

    Returns:
        float32 [cells, C + 4].
    """
    where = centres[:, :-1]
    bias = where.square().sum(1, keepdim=True) / -2
    # A cluster without a voxel, outside the mask, is nobody's nearest.
    bias[centres[:, -1] == 0] = torch.finfo(bias.dtype).min
    return torch.cat([where, bias], 1)


def assign(rows: Tensor, near: Tensor, table: Tensor) -> Tensor:
    """The nearest candidate of every voxel.

    Args:
        rows: float32 [boxes, voxels, C + 4].
        near: int64 [boxes, candidates], numbers of clusters.
        table: of all clusters.

    Returns:
        int64 [boxes, voxels]
    """
    budget = _CPU_SCORES if table.device.type == "cpu" else _GPU_SCORES
    step = max(1, budget // (rows.shape[1] * near.shape[1]))
    found = []
    for start in range(0, len(rows), step):
        part = near[start : start + step]
        scores = torch.bmm(rows[start : start + step], table[part].transpose(1, 2))
        found.append(part.gather(1, scores.argmax(-1)))
    return torch.cat(found)


def refine(features: Tensor, coarse: Tensor, space: Space, table: Tensor) -> Tensor:
    """Labels of all voxels from those of every second one along each axis.

    A voxel joins the nearest of the clusters that occur in its box and one coarse voxel around it:
    about 8 of 64 candidates, one alone inside a supervoxel.

    Args:
        features: [C, h, w, d].
        coarse: int32 labels from 1, of voxels 1, 3, 5, ... along each axis.
        space: of the volume.
        table: of all clusters.

    Returns:
        int32 [h, w, d], labels from 1.
    """
    h, w, d = space.seeds.shape
    grid = Grid((h, w, d), 1, (BOX, BOX, BOX))
    near, count = _around(coarse, grid)
    boxes = grid.counts[1] * grid.counts[2]
    planes = []
    for slab in range(grid.counts[0]):
        part = slice(slab * boxes, (slab + 1) * boxes)
        labels = _choose(grid.rows(features, space, slab), near[part], count[part], table)
        planes.append(grid.to_planes(labels.int() + 1, slab))
    return torch.cat(planes)


def means(labels: list[Tensor], rows: list[Tensor], weight: list[Tensor], cells: int) -> Tensor:
    """Mean row of every cluster and its number of voxels.

    Args:
        labels: int64 [boxes, voxels] for every slab.
        rows: float32 [boxes, voxels, C + 4].
        weight: float32 [boxes, voxels], 0 for voxels that do not count.
        cells: number of clusters.

    Returns:
        float32 [cells, C + 4].
    """
    # float64: a slab adds at most 1e6 rows, the whole volume 1e8.
    total = torch.zeros((cells, rows[0].shape[-1]), dtype=torch.float64, device=rows[0].device)
    for which, values, counted in zip(labels, rows, weight, strict=True):
        total += add_rows(which.flatten(), values.flatten(0, 1), cells, counted.flatten())
    count = total[:, -1:]
    return torch.cat([total[:, :-1] / count.clamp(min=1), count], 1).float()


def _around(coarse: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Which labels occur around every box: [boxes, most], ascending from 0, and how many do."""
    half = BOX // 2
    short = [n * half - size for n, size in zip(grid.counts, coarse.shape, strict=True)]
    margin = (1, short[2] + 1, 1, short[1] + 1, 1, short[0] + 1)
    padded = F.pad(coarse[None, None].float(), margin, mode="replicate")[0, 0].int() - 1
    windows = padded
    for axis in range(3):
        windows = windows.unfold(axis, half + 2, half)
    ordered = windows.reshape(-1, (half + 2) ** 3).sort(1).values
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place = new.cumsum(1) - 1
    count = place[:, -1] + 1
    near = ordered[:, :1].long().repeat(1, int(count.max()))
    return near.scatter_(1, place, ordered.long()), count


def _choose(rows: Tensor, near: Tensor, count: Tensor, table: Tensor) -> Tensor:
    """`assign` for boxes with different numbers of candidates."""
    labels = near[:, :1].repeat(1, rows.shape[1])
    low = 1
    while low < int(count.max()):
        # Boxes with up to 2, 4, 8, ... candidates; shorter lists repeat their first.
        high = low * 2
        which = ((count > low) & (count <= high)).nonzero()[:, 0]
        if len(which):
            labels[which] = assign(rows[which], near[which, :high], table)
        low = high
    return labels
