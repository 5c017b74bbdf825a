"""Of a structure that hangs together, one piece is kept: the one that the model is surest of.

Fine-tuned on five scans that end below the forehead, `mini` finds a jaw, and another one in every
forehead, often the larger of the two; its logits there are lower. Keeping the largest piece, as is
usual, would keep the wrong one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vista3d.volume import bounding_box, components

SHARE = 0.1
"""Of the largest piece: below it, none is the structure, however sure."""


def keep_surest(labels: np.ndarray, evidence: np.ndarray, classes: Iterable[int]) -> int:
    """Set all but one piece of each of some classes to 0.

    Args:
        labels: [i, j, k] ids, 0 background; changed in place.
        evidence: [i, j, k], see `Segmentation`.
        classes: those that are in one piece in everybody.

    Returns:
        How many pieces went.
    """
    gone = 0
    for class_id in classes:
        mask = labels == class_id
        box = bounding_box(mask)
        if box is None:
            continue
        parts = components(mask[box])
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        sums = np.bincount(parts.ravel(), evidence[box].ravel().astype(np.float64))
        means = np.divide(sums, sizes, out=np.full(len(sizes), -np.inf), where=sizes > 0)
        means[sizes < SHARE * sizes.max()] = -np.inf
        labels[box][(parts > 0) & (parts != means.argmax())] = 0
        gone += len(sizes) - 2
    return gone
