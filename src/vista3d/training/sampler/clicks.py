"""Where training clicks: first on the object, then on what the network got wrong (facts 3.4, 3.5).

All voxels of a batch are chosen at once on its device: the voxel of highest score, where the score
is random, or the depth inside the region plus a random fraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vista3d.training.sampler.morphology import dilate, erode
from vista3d.training.sampler.target import Target

MOST = 3
"""Clicks of one sign that an object gets at random (max_point of the released training)."""

BORDER = 10 / 128
"""Share of the patch along each face where no click is put if it can be helped: there the network
sees half of the surroundings only. 10 voxels of the published 128."""

HARD = 4
"""Voxels around an object within which a negative click is hard: where a leak would be."""

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
        positive: [P, B, H, W, D] bool: regions that need a positive click, the p-th of every
            object; empty where an object has fewer.
        negative: [Q, B, H, W, D] bool: the same for negative clicks.
        novel: [B] bool.
        special: [B] bool.
    """

    masks: Tensor
    positive: Tensor
    negative: Tensor
    novel: Tensor
    special: Tensor

    @classmethod
    def of(cls, targets: list[Target], device: torch.device) -> ClickBatch:
        """Stack targets; at least one."""
        return cls(
            torch.stack([t.mask for t in targets]).to(device),
            _stacked([t.positive for t in targets], targets[0].mask).to(device),
            _stacked([t.negative for t in targets], targets[0].mask).to(device),
            torch.tensor([t.novel for t in targets], device=device),
            torch.tensor([t.special for t in targets], device=device),
        )

    def labels(self, positive: Tensor, exists: Tensor) -> Tensor:
        """[B] bool -> click labels [B]; -1 where there is no such voxel."""
        code = positive.long() + 2 * self.special.long()
        return torch.where(exists, code, -1)


def _stacked(regions: Sequence[tuple[Tensor, ...]], like: Tensor) -> Tensor:
    """Regions of each object -> [most regions, B, H, W, D] bool."""
    most = max(map(len, regions))
    out = torch.zeros(most, len(regions), *like.shape, dtype=torch.bool, device=like.device)
    for b, own in enumerate(regions):
        for n, region in enumerate(own):
            out[n, b] = region
    return out


def depth(regions: Tensor) -> Tensor:
    """[B, H, W, D] bool -> uint8: how many erosions each voxel survives, at most 4, plus 1."""
    total, inside = regions.to(torch.uint8), regions
    for _ in range(_DEPTH):
        inside = erode(inside)
        total += inside
    return total


def pick(regions: Tensor, generator: torch.Generator, deepest: bool) -> tuple[Tensor, Tensor]:
    """One voxel of each region, off the border of the patch where that is possible.

    Args:
        regions: [B, H, W, D] bool.
        generator: on the CPU; the same voxels whatever the device.
        deepest: among the deepest voxels, else among all that survive one erosion. A region without
            such a voxel gives any of its voxels.

    Returns:
        Voxels [B, 3] int64 and whether the region has any [B] bool.
    """
    noise = torch.rand(regions.shape, generator=generator).to(regions.device) * 0.999
    levels = depth(regions) if deepest else regions.to(torch.uint8) + erode(regions)
    good = (levels > 1) & _off_border(regions)
    score = torch.where(good, levels, 0) + noise
    flat = torch.where(regions, score, -1).flatten(1)
    best = flat.argmax(1)
    voxels = torch.stack(torch.unravel_index(best, regions.shape[1:]), 1)
    return voxels, flat.amax(1) >= 0


def _off_border(regions: Tensor) -> Tensor:
    """[H, W, D] bool: voxels farther than BORDER from every face, along all three axes."""
    window = torch.zeros(regions.shape[1:], dtype=torch.bool, device=regions.device)
    strips = [round(BORDER * size) for size in regions.shape[1:]]
    window[tuple(slice(n, s - n) for n, s in zip(strips, window.shape, strict=True))] = True
    return window


def draw_counts(rng: np.random.Generator, most: int = MOST) -> tuple[int, int]:
    """Positive and negative clicks of an object (facts 3.4): 1..most and 0..most.

    |N(0, most // 2)| rounded down, plus 1 for positives. With 3: one positive in 68%, no negative
    in 69% of the cases.
    """
    positive, negative = (int(abs(rng.normal(0, max(1, most // 2)))) for _ in range(2))
    return min(most, positive + 1), min(most, negative)


def first_clicks(batch: ClickBatch, rng: np.random.Generator) -> Clicks:
    """Clicks before the network has answered.

    Positive ones anywhere on the object, then one in each region that needs one, of either sign,
    then negative ones anywhere else. Of those, half are hard: within HARD voxels of the object,
    where a leak would be (ours: released negatives lie anywhere outside).
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    device, size = batch.masks.device, len(batch.masks)
    clicks = Clicks(
        torch.zeros(size, 0, 3, device=device), torch.zeros(size, 0, dtype=torch.int64).to(device)
    )
    positives, negatives = draw_counts(rng)
    for number in range(positives + len(batch.positive)):
        region = batch.masks if number < positives else batch.positive[number - positives]
        clicks = _click(clicks, batch, region, generator, bool(rng.random() < 0.5), positive=True)
    for region in batch.negative:
        clicks = _click(clicks, batch, region, generator, bool(rng.random() < 0.5), positive=False)
    for _ in range(negatives):
        outside = ~batch.masks
        if rng.random() < 0.5:
            outside &= dilate(batch.masks, HARD)
        clicks = _click(clicks, batch, outside, generator, deepest=False, positive=False)
    return clicks


def _click(
    clicks: Clicks,
    batch: ClickBatch,
    regions: Tensor,
    generator: torch.Generator,
    deepest: bool,
    *,
    positive: bool,
) -> Clicks:
    """One click of one sign in each region [B, H, W, D]."""
    voxels, exists = pick(regions, generator, deepest)
    sides = torch.full_like(exists, positive)
    return clicks.add(voxels, batch.labels(sides, exists))


def next_clicks(
    clicks: Clicks, batch: ClickBatch, logits: Tensor, rng: np.random.Generator
) -> Clicks:
    """Add clicks on the errors of `logits` [B, 1, H, W, D].

    Half of the time one click on the larger error, as a person does; else one on each kind, as
    released. Errors are eroded and their voxels at the border of the patch left out, along all
    three axes (released: the first two) and only where others remain (released: else no click).
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    found = logits[:, 0] > 0
    missed, extra = batch.masks & ~found, found & ~batch.masks
    deepest = bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        sizes = [depth(region).flatten(1).float().square().sum(1) for region in (missed, extra)]
        positive = sizes[0] >= sizes[1]
        region = torch.where(positive[:, None, None, None], missed, extra)
        voxels, exists = pick(region, generator, deepest)
        return clicks.add(voxels, batch.labels(positive, exists))
    for side, region in ((True, missed), (False, extra)):
        clicks = _click(clicks, batch, region, generator, deepest, positive=side)
    return clicks
