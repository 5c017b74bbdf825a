"""Labels and supervoxels of one patch, counted once for all branches."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SMALLEST = 12
"""Voxels of the smallest object: below it, erosion and Dice say nothing."""

PARTS = {1: (25, 26), 4: (24,), 132: (57,)}
"""Ids that belong to a larger one, too (facts 3.3): hepatic vessel and tumor to the liver,
pancreatic tumor to the pancreas, trachea to the airway."""


def whole(labels: Tensor, class_id: int) -> Tensor:
    """Labels [H, W, D] -> bool: the structure with the ids that are part of it."""
    mask = labels == class_id
    for part in PARTS.get(class_id, ()):
        mask = mask | (labels == part)
    return mask


@dataclass(frozen=True, eq=False)
class Scene:
    """What the branches look at.

    Attributes:
        labels: [H, W, D] int64 global ids, 0 = background or unknown.
        supervoxels: [H, W, D] int64, 0 = none; all 0 where the machine has no supervoxels.
        ids: annotated ids of at least SMALLEST voxels, ascending: what can be asked for.
        spacing: voxel size in mm, isotropic.
    """

    labels: Tensor
    supervoxels: Tensor
    ids: tuple[int, ...]
    spacing: float

    @classmethod
    def of(
        cls,
        labels: Tensor,
        supervoxels: Tensor | None,
        spacing: float,
        annotated: Collection[int] | None = None,
    ) -> Scene:
        """Count a patch.

        Args:
            labels: [H, W, D] int64.
            supervoxels: the same shape and dtype, or None.
            spacing: mm.
            annotated: ids that may be asked for; None for all that occur.
        """
        sizes = torch.bincount(labels.flatten()).tolist()
        ids = tuple(
            i
            for i, size in enumerate(sizes)
            if i and size >= SMALLEST and (annotated is None or i in annotated)
        )
        none = torch.zeros_like(labels)
        return cls(labels, none if supervoxels is None else supervoxels, ids, spacing)

    def voxels(self, volume: float) -> float:
        """mm^3 -> voxels."""
        return volume / self.spacing**3

    def whole(self, class_id: int) -> Tensor:
        """`whole` of its labels."""
        return whole(self.labels, class_id)

    @functools.cached_property
    def pieces(self) -> Tensor:
        """[S] int64: supervoxel ids of the patch, ascending, without 0."""
        found = torch.nonzero(torch.bincount(self.supervoxels.flatten()))[:, 0]
        return found[found > 0]

    @functools.cached_property
    def overlap(self) -> Tensor:
        """[S, L] int64: voxels of supervoxel `pieces[s]` that are labelled l (0: free)."""
        row = torch.zeros(int(self.supervoxels.max()) + 1, dtype=torch.int64)
        row = row.to(self.labels.device)
        row[self.pieces] = torch.arange(1, len(self.pieces) + 1, device=row.device)
        width = int(self.labels.max()) + 1
        joint = row[self.supervoxels] * width + self.labels
        counts = torch.bincount(joint.flatten(), minlength=(len(self.pieces) + 1) * width)
        return counts.reshape(-1, width)[1:]

    def shared(self, class_ids: Collection[int]) -> Tensor:
        """[S] int64: voxels of each supervoxel that carry one of the ids, or a part of them."""
        wanted = {i for c in class_ids for i in (c, *PARTS.get(c, ()))}
        columns = sorted(i for i in wanted if i < self.overlap.shape[1])
        return self.overlap[:, columns].sum(1)

    def candidates(self, eligible: Tensor, rng: np.random.Generator) -> list[int]:
        """Supervoxel ids where `eligible` [S] bool holds, in random order."""
        return [int(i) for i in rng.permutation(self.pieces[eligible].tolist())]
