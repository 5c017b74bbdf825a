"""Simple linear iterative clustering (SLIC, Achanta 2012) of many-channel 3D features.

The distance, the scaling of the features to [0, 1], the search window of two steps and the merging
of fragments below half the mean size are those of `skimage.segmentation.slic`. What differs:

- the window of a cluster stays where its cell is, so that all voxels of a box have the same
  candidates and their distances are one matrix product;
- where a cell has 12 voxels a side or more, iterations see every second voxel along each axis,
  an eighth of the work. In the last one every voxel chooses among the clusters around it;
- a cluster starts at the mean of its cell, not at the voxel in its middle;
- a fragment joins the touching supervoxel that is nearest in SLIC's distance, not the last one met.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vista3d.errors import UsageError
from vista3d.supervoxels.assign import assign, means, refine, table_of
from vista3d.supervoxels.blocks import Grid, Space, cut_blocks
from vista3d.supervoxels.connect import connect
from vista3d.supervoxels.seeds import Seeds, place_seeds
from vista3d.supervoxels.threads import one_thread

COARSE_SIDE = 12.0
"""Voxels: cells of this size in every direction are iterated on every second voxel, 200 or more a
cell. With 64 a cell, means follow white noise and a fifth of the compactness is lost."""
SMALLEST = 0.5
"""Fragments below this share of the mean size are merged, as scikit-image's min_size_factor."""


@one_thread()
def slic(
    features: Tensor,
    segments: int,
    *,
    compactness: float,
    iterations: int = 10,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    mask: Tensor | None = None,
) -> Tensor:
    """Cluster voxels into connected supervoxels.

    Deterministic on a CPU; on a GPU sums of floats may differ in their last digits between runs.

    Args:
        features: [C, h, w, d], any float type, on the device that does the work.
        segments: clusters to start with; where there are fewer voxels, every voxel is one.
        compactness: distance in features, all channels together and scaled to a range of 1, that
            weighs as much as one step in space.
        iterations: of assignment and update.
        spacing: voxel size along (h, w, d), mm; cells are cubes in mm.
        mask: bool [h, w, d], the voxels to cluster; the others get 0.

    Returns:
        int32 [h, w, d], 1..n; every label is one 6-connected region. n is below `segments` where
        fragments were merged.

    Raises:
        UsageError: values that make no clustering.
    """
    _check(features, segments, compactness, iterations, spacing, mask)
    i, j, k = features.shape[1:]
    counted = i * j * k if mask is None else int(mask.sum())
    if not counted:
        return torch.zeros((i, j, k), dtype=torch.int32, device=features.device)
    seeds = place_seeds((i, j, k), spacing, segments, counted / (i * j * k))
    middle, spread = _statistics(features, mask)
    space = Space(seeds, middle, 1 / (compactness * max(spread, 1e-12)))
    stride = 2 if min(seeds.sides) >= COARSE_SIDE else 1
    grid = Grid((i, j, k), stride, half_cells(seeds, stride))
    rounds = iterations if stride == 1 else max(1, iterations - 1)
    labels, centres = _iterate(features, mask, space, grid, rounds)
    if stride > 1:
        labels = refine(features, labels, space, table_of(centres))
    if mask is not None:
        labels *= mask
    used = int((centres[:, -1] > 0).sum())
    return connect(labels, SMALLEST * counted / used, features, space, centres)


def _statistics(features: Tensor, mask: Tensor | None) -> tuple[Tensor, float]:
    """Mean of every channel, and the range of all of them, where the mask is."""
    means, lows, highs = [], [], []
    for channel in features:
        counted = channel if mask is None else channel[mask]
        low, high = counted.aminmax()
        means.append(counted.mean(dtype=torch.float32))
        lows.append(low)
        highs.append(high)
    return torch.stack(means), float(torch.stack(highs).max() - torch.stack(lows).min())


def half_cells(seeds: Seeds, stride: int) -> tuple[int, int, int]:
    """Half of a cell along every axis, in strided voxels."""
    i, j, k = (max(1, round(side / stride / 2)) for side in seeds.sides)
    return i, j, k


def _iterate(
    features: Tensor, mask: Tensor | None, space: Space, grid: Grid, rounds: int
) -> tuple[Tensor, Tensor]:
    """Assign and update, from the mean of every cell.

    Returns:
        The nearest cluster of every voxel of the grid, also of those that do not count: int32,
        from 1. Mean features and position of every cluster, and the number of its voxels:
        float32 [cells, C + 4].
    """
    slabs = list(cut_blocks(features, mask, space, grid))
    rows, weight = [x.rows for x in slabs], [x.weight for x in slabs]
    cells = space.seeds.total
    labels = [x.cells for x in slabs]
    for _ in range(rounds):
        table = table_of(means(labels, rows, weight, cells))
        before, labels = labels, [assign(x.rows, x.near, table) for x in slabs]
        if all(torch.equal(a, b) for a, b in zip(labels, before, strict=True)):
            break
    planes = [grid.to_planes(found.int() + 1, slab) for slab, found in enumerate(labels)]
    return torch.cat(planes), means(labels, rows, weight, cells)


def _check(
    features: Tensor,
    segments: int,
    compactness: float,
    iterations: int,
    spacing: tuple[float, float, float],
    mask: Tensor | None,
) -> None:
    if features.ndim != 4 or min(features.shape) < 1:
        msg = f"features have the shape {tuple(features.shape)}: it must be [C, h, w, d]"
        raise UsageError(msg)
    if segments < 1 or iterations < 1:
        msg = f"{segments} segments in {iterations} iterations: both must be 1 or more"
        raise UsageError(msg)
    if not compactness > 0 or not min(spacing) > 0:
        msg = f"compactness {compactness:g} and spacing {spacing} must be above 0"
        raise UsageError(msg)
    if mask is not None and mask.shape != features.shape[1:]:
        msg = f"the mask has the shape {tuple(mask.shape)}, the features {tuple(features.shape)}"
        raise UsageError(msg)
