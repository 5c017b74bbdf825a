"""What the class prompt says in a click's window: a second opinion on an object that has a name.

Whether a voxel is background, all classes say together (`inference.labelling`); the logit of one of
them is that of its share against background and all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vista3d.inference.labelling import ClassTable

SURE = 12.0
"""Largest logit, either way: what float32 can tell from certainty in a share of 1 minus itself."""


@dataclass(frozen=True, eq=False)
class ClassView:
    """What the class prompts of a window share.

    Attributes:
        features: [F, H, W, D], in the precision that they were computed in.
        together: [H, W, D] float32, log of 1 (background) + the sum of exp(logit) of all classes.
    """

    features: Tensor
    together: Tensor

    @property
    def nbytes(self) -> int:
        """Of its tensors."""
        return self.features.nbytes + self.together.nbytes


class ClassPrompts:
    """The class prompts of a model whose classes exclude each other.

    Args:
        ids: K global ids.
        table: of them, on the device of the features.
    """

    def __init__(self, ids: Sequence[int], table: ClassTable) -> None:
        self._rows = {class_id: row for row, class_id in enumerate(ids)}
        self._table = table

    def __contains__(self, class_id: object) -> bool:
        return class_id in self._rows

    def view(self, features: Tensor) -> ClassView:
        """Features [F, H, W, D] -> what `logits` needs of them, in memory of its own."""
        together = self._table.logits(features.float()).logsumexp(0)
        return ClassView(features.clone(), torch.nn.functional.softplus(together))

    def logits(self, view: ClassView, class_id: int) -> Tensor:
        """[H, W, D] float32 of a class that it has, within `SURE`."""
        row = self._rows[class_id]
        own = self._table.rows(slice(row, row + 1)).logits(view.features.float())[0]
        share = (own - view.together).clamp_max(0).exp()
        return torch.logit(share, eps=1e-6).clamp(-SURE, SURE)
