"""One object to click on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Target:
    """An object of a patch and what its clicks must say.

    Attributes:
        mask: [H, W, D] bool.
        novel: whether its clicks carry the zero-shot token (ids shifted by 512 as released).
        special: whether its class is ambiguous: click labels 2 and 3 instead of 0 and 1.
        positive: [H, W, D] bool regions that need one positive click each: the parts of a union,
            which one click alone would not name.
        negative: the same for negative clicks: the rest of the organ that a part was cut from.
    """

    mask: Tensor
    novel: bool
    special: bool = False
    positive: tuple[Tensor, ...] = ()
    negative: tuple[Tensor, ...] = ()
