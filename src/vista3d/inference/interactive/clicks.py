"""A click: where, and whether it says "this" or "not this"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Click:
    """A click prompt.

    Attributes:
        position: voxel (i, j, k) of the original scan, fractions allowed.
        positive: True for "this is part of the object".
    """

    position: tuple[float, float, float]
    positive: bool
