"""Where training clicks: first on the object, then on what the network got wrong (facts 3.4, 3.5).

All voxels of a batch are chosen at once on its device: the voxel of highest score, where the score
is random, or the depth inside the region plus a random fraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d.training.objects import Target

_DEPTH = 4
"""Erosions that the depth map tells apart."""


@dataclass(frozen=True)
class Clicks:
    """Clicks of B objects.

    Attributes:
        points: [B, N, 3] float32 voxels.
        labels: [B, N] int64: 0 negative, 1 positive, -1 padding; 2 and 3 for special classes.
    """

    points: Tensor
    labels: Tensor

    def add(self, points: Tensor, labels: Tensor) -> Clicks:
        """One more click per object: points [B, 3], labels [B]."""
        return Clicks(
            torch.cat([self.points, points[:, None].float()], 1),
            torch.cat([self.labels, labels[:, None]], 1),
        )


@dataclass(frozen=True)
class ClickBatch:
    """The targets of a patch as tensors on the device of the network.

    Attributes:
        masks: [B, H, W, D] bool.
        against: the same, where a first negative click is needed; empty for most.
        novel: [B] bool.
        special: [B] bool.
    """

    masks: Tensor
    against: Tensor
    novel: Tensor
    special: Tensor

    @classmethod
    def of(cls, targets: list[Target], device: torch.device) -> ClickBatch:
        """Stack targets; at least one."""
        none = torch.zeros_like(targets[0].mask)
        return cls(
            torch.stack([t.mask for t in targets]).to(device),
            torch.stack([none if t.against is None else t.against for t in targets]).to(device),
            torch.tensor([t.novel for t in targets], device=device),
            torch.tensor([t.special for t in targets], device=device),
        )

    def labels(self, positive: Tensor, exists: Tensor) -> Tensor:
        """[B] bool -> click labels [B]; -1 where there is no such voxel."""
        code = positive.long() + 2 * self.special.long()
        return torch.where(exists, code, -1)


def depth(regions: Tensor) -> Tensor:
    """[B, H, W, D] bool -> float32: how many erosions each voxel survives, at most 4, plus 1."""
    inside = regions.float()
    total = inside
    for _ in range(_DEPTH):
        inside = -F.max_pool3d(-inside, 3, stride=1, padding=1)
        total = total + inside
    return total


def pick(regions: Tensor, generator: torch.Generator, deepest: bool) -> tuple[Tensor, Tensor]:
    """One voxel of each region.

    Args:
        regions: [B, H, W, D] bool.
        generator: on the CPU; the same voxels whatever the device.
        deepest: among the deepest voxels, else anywhere that survives one erosion, or at all.

    Returns:
        Voxels [B, 3] int64 and whether the region has any [B] bool.
    """
    noise = torch.rand(regions.shape, generator=generator).to(regions.device) * 0.999
    levels = depth(regions)
    score = (levels if deepest else levels.clamp_max(2)) + noise
    flat = torch.where(regions, score, -1).flatten(1)
    best = flat.argmax(1)
    voxels = torch.stack(torch.unravel_index(best, regions.shape[1:]), 1)
    return voxels, flat.amax(1) > 0


def first_clicks(batch: ClickBatch, rng: np.random.Generator) -> Clicks:
    """One to three positive clicks per object, and negative ones.

    Numbers as released for at most 3 (facts 3.4): 1 + |N(0, 1)| rounded down, both; a target with
    an `against` region always gets a negative click in it.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    count = len(batch.masks)
    device = batch.masks.device
    clicks = Clicks(
        torch.zeros(count, 0, 3, device=device), torch.zeros(count, 0, dtype=torch.int64).to(device)
    )
    yes = torch.ones(count, dtype=torch.bool, device=device)
    for _ in range(min(3, int(abs(rng.standard_normal())) + 1)):
        voxels, exists = pick(batch.masks, generator, deepest=bool(rng.random() < 0.5))
        clicks = clicks.add(voxels, batch.labels(yes, exists))
    if bool(batch.against.any()):
        voxels, exists = pick(batch.against, generator, deepest=bool(rng.random() < 0.5))
        clicks = clicks.add(voxels, batch.labels(~yes, exists))
    for _ in range(min(3, int(abs(rng.standard_normal())))):
        # Half of them hard: within 4 voxels of the object, where a leak would be.
        outside = ~batch.masks
        if rng.random() < 0.5:
            outside &= F.max_pool3d(batch.masks.float(), 9, stride=1, padding=4) > 0
        voxels, exists = pick(outside, generator, deepest=False)
        clicks = clicks.add(voxels, batch.labels(~yes, exists))
    return clicks


def next_clicks(
    clicks: Clicks, batch: ClickBatch, logits: Tensor, rng: np.random.Generator
) -> Clicks:
    """Add clicks on the errors of `logits` [B, 1, H, W, D].

    Half of the time one click on the larger error, as a person does; else one on each kind, as
    released.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    found = logits[:, 0] > 0
    missed, extra = batch.masks & ~found, found & ~batch.masks
    deepest = bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        sizes = [depth(region).flatten(1).square().sum(1) for region in (missed, extra)]
        positive = sizes[0] >= sizes[1]
        region = torch.where(positive[:, None, None, None], missed, extra)
        voxels, exists = pick(region, generator, deepest)
        return clicks.add(voxels, batch.labels(positive, exists))
    for side, region in ((True, missed), (False, extra)):
        voxels, exists = pick(region, generator, deepest)
        sides = torch.full((len(voxels),), side, device=voxels.device)
        clicks = clicks.add(voxels, batch.labels(sides, exists))
    return clicks
