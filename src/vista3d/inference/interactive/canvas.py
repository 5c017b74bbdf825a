"""Mask logits of one object, averaged over overlapping windows in a box that grows with them."""

from __future__ import annotations

import numpy as np

from vista3d.inference.interactive.placing import REUSE
from vista3d.inference.windows import Slices, Triple, clip, importance


class Canvas:
    """Weighted mean of window logits on the model grid.

    Args:
        window: size of every window.
        shape: of the volume. Voxels beyond it are dropped.
    """

    def __init__(self, window: Triple, shape: Triple) -> None:
        self._window, self._shape = window, shape
        self._weight = importance(window, "gaussian")
        self._sight = _sight(window)
        self._low = np.zeros(3, np.int64)
        self._sum = np.zeros((0, 0, 0), np.float32)
        self._total = np.zeros((0, 0, 0), np.float32)
        self._seen = np.zeros((0, 0, 0), np.float32)

    @property
    def box(self) -> Slices:
        """Where the canvas lies on the model grid."""
        i, j, k = (
            slice(int(a), int(a) + n) for a, n in zip(self._low, self._sum.shape, strict=True)
        )
        return i, j, k

    @property
    def known(self) -> np.ndarray:
        """Bool [box]: voxels of at least one window."""
        return np.asarray(self._total > 0)

    @property
    def sight(self) -> np.ndarray:
        """float32 [box], 0 to 1: how far from the faces of a window, in eighths of it."""
        return self._seen

    @property
    def logits(self) -> np.ndarray:
        """float32 [box]: the weighted mean; -inf where no window was."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self._sum / self._total
        return np.where(self._total > 0, mean, -np.inf).astype(np.float32, copy=False)

    def add(self, start: Triple, logits: np.ndarray) -> None:
        """Add the logits [window] of the window at `start`."""
        inside, local = clip(start, self._window, self._shape)
        self._grow(inside)
        where = tuple(
            slice(part.start - int(a), part.stop - int(a))
            for part, a in zip(inside, self._low, strict=True)
        )
        weight = self._weight[local]
        self._sum[where] += weight * logits[local]
        self._total[where] += weight
        np.maximum(self._seen[where], self._sight[local], out=self._seen[where])

    def window(self, values: np.ndarray, start: Triple) -> np.ndarray:
        """The part of bool `values` [box] in the window at `start`; False where it is outside."""
        out = np.zeros(self._window, bool)
        inside, local = clip(start, self._window, self._shape)
        low = np.maximum([p.start for p in inside], self._low)
        high = np.minimum([p.stop for p in inside], self._low + self._sum.shape)
        if (high <= low).any():
            return out
        source = tuple(
            slice(int(a - o), int(b - o)) for a, b, o in zip(low, high, self._low, strict=True)
        )
        target = tuple(
            slice(int(a - p.start) + q.start, int(b - p.start) + q.start)
            for a, b, p, q in zip(low, high, inside, local, strict=True)
        )
        out[target] = values[source]
        return out

    def _grow(self, inside: Slices) -> None:
        start = np.array([part.start for part in inside])
        stop = np.array([part.stop for part in inside])
        if self._sum.size:
            start = np.minimum(start, self._low)
            stop = np.maximum(stop, self._low + self._sum.shape)
            if (start == self._low).all() and (stop - start == self._sum.shape).all():
                return
        grown = []
        for old in (self._sum, self._total, self._seen):
            new = np.zeros(stop - start, np.float32)
            if old.size:
                where = tuple(
                    slice(int(a), int(a) + n)
                    for a, n in zip(self._low - start, old.shape, strict=True)
                )
                new[where] = old
            grown.append(new)
        self._low, (self._sum, self._total, self._seen) = start, grown


def _sight(window: Triple) -> np.ndarray:
    """float32 [window]: 1 from an eighth of the window inwards (`placing.REUSE`), less outside."""
    lines = []
    for size in window:
        depth = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
        lines.append(np.minimum(1, depth / (REUSE * size)).astype(np.float32))
    a, b, c = np.ix_(*lines)
    return np.asarray(np.minimum(np.minimum(a, b), c))
