"""Training patches: one random spatial map per patch, then scanner-like intensity changes.

The torso has very few scans, so everything that keeps the anatomy true is varied: rotation,
scaling, elastic deformation, left/right mirroring with class swap, field of view, contrast,
noise, blur and slice thickness. Many scans show much of it themselves: the mapping file says how
far those of a data set are varied (`DataSource.variation`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d import anatomy
from vista3d.training.data.chunks import Voxels
from vista3d.training.data.prepared import Prepared
from vista3d.training.recipe import RESYNTHESIS
from vista3d.training.synthetic.noise import smooth_noise
from vista3d.training.synthetic.resynthesis import aerate, perturb_structures, synthesise
from vista3d.training.synthetic.tissues import HEAD, INTERIOR
from vista3d.volume import normalise

AIR = -1024.0


@dataclass(frozen=True)
class Patch:
    """One training example.

    Attributes:
        hu: [H, W, D] float32 HU.
        labels: [H, W, D] int64 global ids, 0 = background or unknown.
        annotated: global ids whose extent `labels` states; others are unknown.
        decided: [H, W, D] bool, where it is known that no other class is: the labelled voxels,
            since structures do not overlap, and the head.
        rivals: global ids that are known to be absent from `decided` and unknown elsewhere.
        supervoxels: [H, W, D] int64, 0 = none; None where they were not asked for, or the case has
            none.
    """

    hu: Tensor
    labels: Tensor
    annotated: frozenset[int]
    decided: Tensor
    rivals: frozenset[int]
    supervoxels: Tensor | None = None

    def window(self, device: torch.device) -> Tensor:
        """The network's input [1, 1, H, W, D] in [0, 1]."""
        return torch.from_numpy(normalise(self.hu.numpy()))[None, None].to(device)


def draw_patch(
    case: Prepared,
    size: int,
    rng: np.random.Generator,
    classes: frozenset[int] = frozenset(),
    *,
    spacing: float,
    supervoxels: bool = False,
    resynthesis: float = RESYNTHESIS,
) -> Patch:
    """A random cube of `size` voxels from a prepared case, fully augmented.

    Args:
        case: where from.
        size: voxels per side.
        rng: source of every random choice.
        classes: all that the corpus annotates; those unknown to this case become rivals.
        spacing: of the case's grid, mm.
        supervoxels: cut the patch out of the case's supervoxels, too.
        resynthesis: probability that the structures of a scan get other densities.
    """
    variation = case.case.source.variation
    centre = _centre(case, size, rng)
    coordinates = _coordinates(centre, size, rng, variation)
    tissue = sample(case.labels, coordinates, nearest=True, outside=0).long()
    mirror = rng.random() < 0.3 and case.case.may_be_mirrored
    labels = torch.where(tissue >= INTERIOR, 0, tissue)
    decided = (labels > 0) | (tissue == HEAD)
    if case.image is None:
        hu = synthesise(tissue, rng, spacing)
    else:
        hu = sample(case.image, coordinates, nearest=False, outside=AIR)
        if rng.random() < resynthesis * variation:
            hu = perturb_structures(hu, labels, rng)
        if rng.random() < 0.3 * variation:
            hu = aerate(hu, labels, rng, spacing)
    annotated = case.annotated | case.absent
    rivals = classes - annotated - case.case.source.head
    regions = None
    if supervoxels and case.supervoxels is not None:
        regions = sample(case.supervoxels, coordinates, nearest=True, outside=0).long()
    if mirror:
        regions = None if regions is None else regions.flip(0)
        hu, labels, decided = hu.flip(0), _mirror_table()[labels.flip(0)], decided.flip(0)
        annotated, rivals = _mirror_ids(annotated), _mirror_ids(rivals)
    if rng.random() < 0.2 * variation:
        hu, labels = _limit_field_of_view(hu, labels, rng)
        decided = decided | (hu == AIR)
        regions = None if regions is None else torch.where(hu == AIR, 0, regions)
    return Patch(_scanner(hu, rng), labels, annotated, decided, rivals, regions)


def plain_patch(case: Prepared, class_id: int, size: int) -> Patch:
    """The cube around a voxel of a class, as it is: for validation. The scan must have an image."""
    if case.image is None:
        msg = f"case {case.case.name!r} has no image to validate on"
        raise ValueError(msg)
    voxels = case.locations[class_id]
    # The most central of the remembered voxels: the same cube every time.
    centre = voxels[np.square(voxels - voxels.mean(0)).sum(1).argmin()].astype(float)
    low = np.minimum(size / 2, (np.array(case.labels.shape) - 1) / 2)
    centre = np.clip(centre, low, np.array(case.labels.shape) - 1 - low)
    axis = torch.arange(size, dtype=torch.float32) - size // 2
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    coordinates = grid + torch.from_numpy(np.round(centre).astype(np.float32))
    tissue = sample(case.labels, coordinates, nearest=True, outside=0).long()
    labels = torch.where(tissue >= INTERIOR, 0, tissue)
    hu = sample(case.image, coordinates, nearest=False, outside=AIR)
    return Patch(hu, labels, case.annotated | case.absent, labels > 0, frozenset())


def _mirror_ids(ids: frozenset[int]) -> frozenset[int]:
    return frozenset(int(_mirror_table()[i]) for i in ids)


@functools.cache
def _mirror_table() -> Tensor:
    """Class id -> id after a left/right flip.

    The right middle lobe has no partner: its mirror image, the lingula, is part of the left upper
    lobe.
    """
    table = torch.arange(INTERIOR)
    for structure in anatomy.STRUCTURES.values():
        table[structure.id] = anatomy.mirror(structure.id)
    table[31] = 28
    return table


def _centre(case: Prepared, size: int, rng: np.random.Generator) -> np.ndarray:
    """Near a voxel of a random class (every class equally likely), or anywhere.

    The cube is pushed back inside the scan, up to a sixth of its size: air teaches little.
    """
    shape = np.array(case.labels.shape)
    classes = sorted(set(case.locations) & case.annotated)
    if not classes or rng.random() < case.case.source.anywhere:
        centre = rng.uniform(0, shape - 1)
    else:
        voxels = case.locations[int(rng.choice(classes))]
        centre = voxels[rng.integers(len(voxels))] + rng.uniform(-size / 4, size / 4, 3)
    low = np.minimum(size / 3, (shape - 1) / 2)
    return np.clip(centre, low, shape - 1 - low)


def _coordinates(
    centre: np.ndarray, size: int, rng: np.random.Generator, variation: float
) -> Tensor:
    """Source voxel coordinates [size, size, size, 3] of a rotated, scaled, bent cube."""
    axis = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    matrix = np.eye(3)
    if rng.random() < 0.7:
        # About 9 degrees around each axis: patients lie nearly straight.
        for axes in ((0, 1), (0, 2), (1, 2)):
            angle = variation * np.deg2rad(9) * rng.standard_normal()
            turn = np.eye(3)
            turn[np.ix_(axes, axes)] = [
                [np.cos(angle), -np.sin(angle)],
                [np.sin(angle), np.cos(angle)],
            ]
            matrix = matrix @ turn
    scale = np.exp(rng.uniform(np.log(0.75), np.log(1.3))) * rng.uniform(0.93, 1.07, 3)
    matrix = matrix * scale**variation
    grid = grid @ torch.from_numpy(matrix.T.astype(np.float32))
    if rng.random() < 0.35:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        voxels = variation * rng.uniform(0.5, 3.0)
        knots = torch.randn(1, 3, 5, 5, 5, generator=generator) * float(voxels)
        bend = F.interpolate(knots, size=(size,) * 3, mode="trilinear", align_corners=True)
        grid = grid + bend[0].permute(1, 2, 3, 0)
    return grid + torch.from_numpy(centre.astype(np.float32))


def sample(array: Voxels, coordinates: Tensor, *, nearest: bool, outside: float) -> Tensor:
    """Values of a volume at voxel coordinates [..., 3]; only the needed box is touched."""
    shape = torch.tensor(array.shape)
    flat = coordinates.reshape(-1, 3)
    low = flat.amin(0).floor().long().clamp_min(0).minimum(shape - 1)
    high = (flat.amax(0).ceil().long() + 1).clamp_min(1).minimum(shape).maximum(low + 1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    values = torch.from_numpy(np.ascontiguousarray(array[box])).float()[None, None] - outside
    # One voxel of outside around: grid_sample has no outside along an axis of a single voxel.
    values = F.pad(values, (1,) * 6)
    # grid_sample wants (x, y, z) = reversed axes, in [-1, 1] between voxel centres of the corners.
    extent = torch.tensor(values.shape[2:]).float() - 1
    grid = ((coordinates - low + 1) / extent * 2 - 1).flip(-1)[None]
    mode = "nearest" if nearest else "bilinear"
    out = F.grid_sample(values, grid, mode=mode, padding_mode="zeros", align_corners=True)
    return out[0, 0] + outside


def _limit_field_of_view(
    hu: Tensor, labels: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Blank everything outside a random box, as cropped and partly blank scans are."""
    keep = torch.zeros(hu.shape, dtype=torch.bool)
    box = []
    for size in hu.shape:
        length = int(rng.uniform(0.5, 1.0) * size)
        start = int(rng.integers(0, size - length + 1))
        box.append(slice(start, start + length))
    keep[tuple(box)] = True
    return torch.where(keep, hu, AIR), torch.where(keep, labels, 0)


def _scanner(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Thick slices, blur, contrast, brightness and noise, each on a share of the patches."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    shape = tuple(hu.shape)
    if rng.random() < 0.3:
        low = [max(8, int(size / rng.uniform(1, 2.5 if axis == 2 else 1.3)))
               for axis, size in enumerate(shape)]  # fmt: skip
        hu = F.interpolate(hu[None, None], size=low, mode="trilinear", align_corners=True)
        hu = F.interpolate(hu, size=shape, mode="trilinear", align_corners=True)[0, 0]
    if rng.random() < 0.25:
        hu = blur(hu, (rng.uniform(0.4, 1.0),) * 3)
    if rng.random() < 0.3:
        hu = hu * float(rng.uniform(0.88, 1.12))
    if rng.random() < 0.3:
        hu = hu + float(rng.uniform(-40, 40))
    if rng.random() < 0.5:
        noise = torch.randn(shape, generator=generator) * float(rng.exponential(12))
        hu = hu + noise
    if rng.random() < 0.2:
        hu = hu + smooth_noise(shape, rng.uniform(1.3, 3), generator) * float(rng.exponential(10))
    return hu


def blur(hu: Tensor, sigmas: tuple[float, float, float], reach: int = 2) -> Tensor:
    """Gaussian blur, voxels of each axis; the kernel ends `reach` voxels from its centre."""
    out = hu[None, None]
    for axis, sigma in enumerate(sigmas):
        taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1.0) / sigma) ** 2)
        taps = taps / taps.sum()
        kernel = taps.reshape([-1 if a == axis else 1 for a in range(3)])[None, None]
        padding = [0, 0, 0, 0, 0, 0]
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = reach
        out = F.conv3d(F.pad(out, padding, mode="replicate"), kernel)
    return out[0, 0]
