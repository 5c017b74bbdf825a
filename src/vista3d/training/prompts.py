"""Class prompts of a patch (facts 3.4): present classes, and a few that are known to be absent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassPrompts:
    """Class prompts of a patch.

    Attributes:
        ids: [K] int64 global class ids: present ones, absent ones, rivals; each once, for a second
            row of a class would be taught that nothing is of it.
        present: how many occur in the patch; they come first.
        rivals: how many are known to be absent from a part of the patch only; they come last.
    """

    ids: Tensor
    present: int
    rivals: int = 0


def draw_class_prompts(
    labels: Tensor,
    annotated: frozenset[int],
    rng: np.random.Generator,
    *,
    rivals: frozenset[int] = frozenset(),
    max_present: int = 32,
    max_absent: int = 4,
    max_rivals: int = 12,
) -> ClassPrompts:
    """Choose prompts among the annotated classes only: an unannotated class is never background.

    Args:
        labels: [H, W, D] int64 global ids.
        annotated: ids whose extent the labels state.
        rng: source of the choice.
        max_present: cap on classes that occur (32 in the released stages 3 and 4).
        max_absent: cap on classes that do not (4 there).
        rivals: ids that are absent from the decided part of the patch (ours: the released
            training does not use that structures exclude each other).
        max_rivals: cap on those.
    """
    found = set(torch.unique(labels).tolist()) & annotated
    present = rng.permutation(sorted(found))[:max_present]
    absent = rng.permutation(sorted(annotated - found))[:max_absent]
    others = rng.permutation(sorted(rivals - annotated))[:max_rivals]
    ids = np.concatenate([present, absent, others]).astype(np.int64)
    return ClassPrompts(torch.from_numpy(ids), len(present), len(others))
