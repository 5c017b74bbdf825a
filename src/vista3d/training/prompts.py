"""Class prompts of a patch (facts 3.4): present classes, and a few that are known to be absent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassPrompts:
    """`ids` [K] int64 global class ids; the first `present` of them occur in the patch."""

    ids: Tensor
    present: int


def draw_class_prompts(
    labels: Tensor,
    annotated: frozenset[int],
    rng: np.random.Generator,
    *,
    max_present: int = 32,
    max_absent: int = 4,
) -> ClassPrompts:
    """Choose prompts among the annotated classes only: an unannotated class is never background.

    Args:
        labels: [H, W, D] int64 global ids.
        annotated: ids whose extent the labels state.
        rng: source of the choice.
        max_present: cap on classes that occur (32 in the released stages 3 and 4).
        max_absent: cap on classes that do not (4 there).
    """
    found = set(torch.unique(labels).tolist()) & annotated
    present = rng.permutation(sorted(found))[:max_present]
    absent = rng.permutation(sorted(annotated - found))[:max_absent]
    ids = np.concatenate([present, absent]).astype(np.int64)
    return ClassPrompts(torch.from_numpy(ids), len(present))
