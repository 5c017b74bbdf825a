"""What training clicks on: objects of a patch, known and novel (paper section 3.3, facts 3.5).

A network that only ever met whole organs answers every click with the organ it lies in. So parts
and unions of organs, regions of similar intensity and painted lesions are objects, too: for them
only the clicks say what is meant. Supervoxels (Alg. 2) replace the intensity regions when the
teacher is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d import anatomy
from vista3d.training.synthesis import smooth_noise

SMALLEST = 12
"""Voxels of the smallest object: below it, erosion and Dice say nothing."""

BODY = -500.0
"""HU above which a voxel is patient rather than air."""


@dataclass(frozen=True)
class Target:
    """One object to click on.

    Attributes:
        mask: [H, W, D] bool.
        novel: whether its clicks carry the zero-shot token.
        special: whether its class is ambiguous (click labels 2 and 3).
        against: [H, W, D] bool, where at least one negative click is needed to tell what is meant
            (the rest of the organ that a part was cut from); None where a positive one does.
    """

    mask: Tensor
    novel: bool
    special: bool = False
    against: Tensor | None = None


def draw_targets(
    hu: Tensor, labels: Tensor, rng: np.random.Generator, count: int
) -> tuple[Tensor, list[Target]]:
    """Choose up to `count` objects of a patch.

    Args:
        hu: [H, W, D] float32.
        labels: [H, W, D] int64 global ids, 0 = background or unknown.
        rng: source of every random choice.
        count: objects wanted; fewer where the patch has none.

    Returns:
        hu, changed where a lesion was painted, and the objects.
    """
    found = []
    ids, sizes = torch.unique(labels, return_counts=True)
    present = [i for i, n in zip(ids.tolist(), sizes.tolist(), strict=True) if i and n >= SMALLEST]
    if rng.random() < 0.3:
        hu, lesion = paint_lesion(hu, rng)
        found += [] if lesion is None else [lesion]
    makers: list[Callable[[], Target | None]] = [
        lambda: _whole(labels, present, rng),
        lambda: _union(labels, present, rng),
        lambda: _part(labels, present, rng),
        lambda: _region(hu, rng),
    ]
    while len(found) < count:
        share = [0.5, 0.12, 0.13, 0.25] if present else [0, 0, 0, 1.0]
        target = makers[int(rng.choice(4, p=share))]()
        if target is not None:
            found.append(target)
        elif rng.random() < 0.3:
            break  # a patch of air has no object at all
    return hu, found


def draw_balls(size: int, rng: np.random.Generator, count: int) -> list[Target]:
    """Balls of 3 to 6 voxels radius anywhere in a cube: what a click means before anatomy."""
    return [
        Target(
            _distance((size,) * 3, torch.from_numpy(rng.uniform(3, size - 4, 3)).float())
            < float(rng.uniform(3, 6)),
            novel=bool(rng.random() < 0.5),
        )
        for _ in range(count)
    ]


def _whole(labels: Tensor, present: list[int], rng: np.random.Generator) -> Target:
    """A labelled structure; the zero-shot token must be able to do what the supported one does."""
    chosen = int(rng.choice(present))
    special = anatomy.by_id(chosen).special
    return Target(labels == chosen, novel=bool(rng.random() < 0.35), special=special)


def _union(labels: Tensor, present: list[int], rng: np.random.Generator) -> Target | None:
    """A structure and one that touches it."""
    mask = labels == int(rng.choice(present))
    around = F.max_pool3d(mask[None].float(), 3, stride=1, padding=1)[0] > 0
    ids = torch.unique(labels[around & ~mask])
    neighbours = [i for i in ids.tolist() if i in present]
    if not neighbours:
        return None
    return Target(mask | (labels == int(rng.choice(neighbours))), novel=True)


def _part(labels: Tensor, present: list[int], rng: np.random.Generator) -> Target | None:
    """One side of a plane through a structure; the other side needs a negative click."""
    whole = labels == int(rng.choice(present))
    voxels = torch.nonzero(whole).float()
    normal = torch.from_numpy(rng.standard_normal(3).astype(np.float32))
    height = voxels @ normal
    cut = torch.quantile(height[:: max(1, len(height) // 4096)], float(rng.uniform(0.25, 0.75)))
    keep = voxels[height > cut].long()
    if not SMALLEST <= len(keep) <= len(voxels) - SMALLEST:
        return None
    mask = torch.zeros_like(whole)
    mask[tuple(keep.T)] = True
    return Target(mask, novel=True, against=whole & ~mask)


def _region(hu: Tensor, rng: np.random.Generator) -> Target | None:
    """What is connected to a random body voxel and looks like it, opened, within a ball."""
    import cc3d

    smooth = F.avg_pool3d(hu[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    body = torch.nonzero(smooth > BODY)
    if len(body) == 0:
        return None
    seed = body[int(rng.integers(len(body)))]
    # Soft tissue differs by tens of HU, bone by hundreds.
    value = float(smooth[tuple(seed)])
    width = float(rng.uniform(20, 60)) + 0.4 * max(0.0, abs(value) - 60)
    radius = float(rng.uniform(5, 20))
    alike = (smooth - value).abs() < width
    alike &= _distance(tuple(hu.shape), seed.float()) < radius
    eroded = -F.max_pool3d(-alike[None].float(), 3, stride=1, padding=1)[0]
    parts = cc3d.connected_components((eroded > 0).numpy(), connectivity=6)
    near = parts[tuple(slice(max(0, int(c) - 2), int(c) + 3) for c in seed)]
    if not near.any():
        return None
    part = torch.from_numpy(parts == near[near > 0][0])
    mask = alike & (F.max_pool3d(part[None].float(), 3, stride=1, padding=1)[0] > 0)
    if not 4 * SMALLEST <= int(mask.sum()) <= mask.numel() // 4:
        return None
    return Target(mask, novel=True)


def paint_lesion(hu: Tensor, rng: np.random.Generator) -> tuple[Tensor, Target | None]:
    """Paint a bumpy ellipsoid of its own density and texture into the body."""
    body = torch.nonzero(hu > BODY)
    if len(body) == 0:
        return hu, None
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    shape = tuple(hu.shape)
    centre = body[int(rng.integers(len(body)))].float()
    radius = float(np.exp(rng.uniform(np.log(1.8), np.log(14))))
    stretch = torch.from_numpy(np.exp(rng.normal(0, 0.25, 3)).astype(np.float32))
    bumps = smooth_noise(shape, max(2.0, radius / 2), generator)
    inside = _distance(shape, centre, stretch) / radius + 0.25 * bumps < 1
    inside &= hu > BODY  # lesions of the lung wall stop at the air; others do not leave the body
    if int(inside.sum()) < SMALLEST:
        return hu, None
    around = float(hu[inside].median())
    offset = float(rng.choice([-1, 1]) * rng.uniform(12, 90))
    texture = smooth_noise(shape, float(rng.uniform(1.2, 4)), generator) * float(rng.uniform(3, 30))
    soft = F.avg_pool3d(inside[None, None].float(), 3, stride=1, padding=1)[0, 0]
    keep = float(rng.uniform(0.0, 0.4))  # how much of what was there shows through
    painted = (1 - keep) * (around + texture) + keep * hu + offset
    return torch.lerp(hu, painted, soft), Target(inside, novel=True)


def _distance(shape: tuple[int, ...], centre: Tensor, stretch: Tensor | None = None) -> Tensor:
    """Voxels from `centre`, each axis divided by its stretch."""
    total = torch.zeros(shape)
    for axis, size in enumerate(shape):
        offset = torch.arange(size, dtype=torch.float32) - centre[axis]
        if stretch is not None:
            offset = offset / stretch[axis]
        view = [1, 1, 1]
        view[axis] = size
        total = total + offset.square().reshape(view)
    return total.sqrt()
