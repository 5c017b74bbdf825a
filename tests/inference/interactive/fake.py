"""A pointer that paints balls: a session can be tested without a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vista3d.inference.interactive.pointer import PointMask, Prompt
from vista3d.volume import Volume

SHAPE = (24, 20, 16)


def scan(seed: int = 0) -> Volume:
    """Noise, 1 x 1 x 2 mm, oriented LPS."""
    array = np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16)
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    affine[:3, 3] = (100, 50, -30)
    return Volume(array, affine)


class Balls:
    """Positive clicks are balls of 4 voxels, negative ones cut balls of 3 out of them."""

    def __init__(self) -> None:
        self.calls = 0
        self.prefetched: list[tuple[tuple[float, float, float], int | None]] = []

    def mask(self, prompt: Prompt, listen: Callable[[int, int], None]) -> PointMask:
        self.calls += 1
        listen(0, 1)
        grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), -1)
        out = np.zeros(SHAPE, bool)
        for click in prompt.clicks:
            distance = np.linalg.norm(grid - np.array(click.position), axis=-1)
            if click.positive:
                out |= distance <= 4
        for click in prompt.clicks:
            if not click.positive:
                out &= np.linalg.norm(grid - np.array(click.position), axis=-1) > 3
        box = (slice(2, 24), slice(0, 20), slice(0, 15))
        return PointMask(box, out[box], np.ones_like(out[box]))

    def prefetch(self, position: tuple[float, float, float], class_id: int | None) -> None:
        self.prefetched.append((position, class_id))


def automatic(classes, progress=None, cancel=None):
    """A liver, a spleen, and nothing of a third class."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:12, 3:12, 3:12] = 1
    labels[14:20, 4:10, 4:10] = 3
    return labels, (1, 3, 4)
