"""Global class ids of the structures a phantom draws, by name."""

from __future__ import annotations

import functools

from vista3d import anatomy


@functools.cache
def number(name: str) -> int:
    """Global id of one structure."""
    return next(s.id for s in anatomy.find(name) if s.name == name)


def both(name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """(side of x, id) for the left and the right structure of a pair."""
    return (-1, number(f"left {name}")), (1, number(f"right {name}"))
