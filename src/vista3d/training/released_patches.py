"""Training patches as the released training draws them (facts 3.2): no anatomy is varied.

Two things are not followed to the letter. Beside a patch that is zoomed out lies
what lies there in the scan, not its repeated border; and what noise and shift push out of the
intensity window is clipped to it, as by every input of the network here.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d.training.augmentation import AIR, Patch, blur, sample
from vista3d.training.data.prepared import Prepared
from vista3d.training.synthetic.resynthesis import synthesise
from vista3d.training.synthetic.tissues import INTERIOR
from vista3d.volume import A_MAX, A_MIN

OFTEN = 0.2
"""Share of the patches that each of the six changes happens to."""


def released_patch(
    case: Prepared,
    size: int,
    rng: np.random.Generator,
    *,
    spacing: float,
    supervoxels: bool = False,
) -> Patch:
    """A random cube of `size` voxels: zoomed on a share of the patches, then a scanner's changes.

    Args:
        case: where from; of a label map without a scan, the densities are made up.
        size: voxels per side.
        rng: source of every random choice.
        spacing: of the case's grid, mm.
        supervoxels: cut the patch out of the case's supervoxels, too.
    """
    zoom = rng.uniform(0.8, 1.2) if rng.random() < OFTEN else 1.0
    where = _cube(_start(case, size, rng), size, zoom)
    tissue = sample(case.labels, where, nearest=True, outside=0).long()
    labels = torch.where(tissue >= INTERIOR, 0, tissue)
    if case.image is None:
        hu = synthesise(tissue, rng, spacing)
    else:
        hu = sample(case.image, where, nearest=False, outside=AIR)
    regions = None
    if supervoxels and case.supervoxels is not None:
        regions = sample(case.supervoxels, where, nearest=True, outside=0).long()
    known = case.annotated | case.absent
    return Patch(_scanner(hu, rng), labels, known, labels > 0, frozenset(), regions)


def _start(case: Prepared, size: int, rng: np.random.Generator) -> np.ndarray:
    """Lowest corner of a cube around a voxel of a class, or anywhere, which counts as a class.

    It lies in the scan as a whole; a scan that is smaller lies in its middle.
    """
    shape = np.array(case.labels.shape)
    classes = sorted(set(case.locations) & case.annotated)
    chosen = int(rng.integers(len(classes) + 1))
    if chosen == len(classes):
        centre = rng.integers(shape)
    else:
        voxels = case.locations[classes[chosen]]
        centre = voxels[rng.integers(len(voxels))].astype(np.int64)
    low = np.minimum(0, (shape - size) // 2)
    return np.clip(centre - size // 2, low, np.maximum(shape - size, low))


def _cube(start: np.ndarray, size: int, zoom: float) -> Tensor:
    """Source voxels [size, size, size, 3] of a cube that is enlarged around its middle."""
    middle = (size - 1) / 2
    axis = (torch.arange(size, dtype=torch.float32) - middle) / zoom + middle
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    return grid + torch.from_numpy(start.astype(np.float32))


def _scanner(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Low resolution, blur, contrast, brightness and noise, each on a share of the patches."""
    scale = A_MAX - A_MIN
    value = (hu.clamp(A_MIN, A_MAX) - A_MIN) / scale
    if rng.random() < OFTEN:
        value = _low_resolution(value, rng.uniform(0.3, 1.0))
    if rng.random() < OFTEN:
        i, j, k = rng.uniform(0.5, 1.0, 3)
        value = blur(value, (i, j, k), reach=4)
    if rng.random() < OFTEN:
        value = value * float(rng.uniform(0.9, 1.1))
    if rng.random() < OFTEN:
        value = value + float(rng.uniform(-0.1, 0.1))
    if rng.random() < OFTEN:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        # MONAI's transform draws the deviation, too: the published 0.2 is the largest.
        value = value + float(rng.uniform(0, 0.2)) * torch.randn(value.shape, generator=generator)
    return value * scale + A_MIN


def _low_resolution(value: Tensor, zoom: float) -> Tensor:
    """Down by the nearest voxel, up again between voxels."""
    size = [max(1, round(n * zoom)) for n in value.shape]
    small = F.interpolate(value[None, None], size=size, mode="nearest")
    return F.interpolate(small, size=tuple(value.shape), mode="trilinear")[0, 0]
