"""Scans that are there twice: the same voxels, or the same patient resampled or mirrored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from vista3d.training.data.check.facts import Facts

Key = TypeVar("Key", bound=tuple[str, str])

ALIKE = 0.992
"""Correlation of thumbnails from which on two scans are the same. Between patients of the corpus it
is at most 0.984 (two heads in the same mask); a scan resampled to twice its voxel size keeps 0.996
with itself. A cropped scan is not recognised."""


def identical(facts: Mapping[Key, Facts]) -> list[tuple[Key, ...]]:
    """Groups of cases with the same voxels."""
    groups: dict[str, list[Key]] = defaultdict(list)
    for key, measured in facts.items():
        if measured.digest:
            groups[measured.digest].append(key)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def alike(facts: Mapping[Key, Facts]) -> list[tuple[Key, Key, float, bool]]:
    """Pairs of cases that look the same but are not identical.

    Returns:
        Both keys, the correlation of their thumbnails, and whether one was mirrored for it.
    """
    keys, pictures = [], []
    for key, measured in facts.items():
        if measured.thumbnail is not None:
            keys.append(key)
            pictures.append(measured.thumbnail)
    if len(keys) < 2:
        return []
    stack = np.stack(pictures)
    flat, mirrored = stack.reshape(len(keys), -1), stack[:, ::-1].reshape(len(keys), -1)
    found = []
    for n, key in enumerate(keys[:-1]):
        as_is, turned = flat[n + 1 :] @ flat[n], mirrored[n + 1 :] @ flat[n]
        best = np.maximum(as_is, turned)
        for offset in np.flatnonzero(best >= ALIKE):
            other = keys[n + 1 + int(offset)]
            if facts[key].digest != facts[other].digest:
                flipped = bool(turned[offset] > as_is[offset])
                found.append((key, other, float(best[offset]), flipped))
    return found
