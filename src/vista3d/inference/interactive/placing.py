"""Which windows a set of clicks needs (paper section 3.2: the patch is centred at the click)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vista3d.inference.windows import Slices, Triple

REUSE = 0.125
"""A click this share of the window away from its faces is answered by that window: it sees enough
around the click, and nothing but the prompt path has to run."""

LATTICE = 16
"""Window starts lie on a lattice of a sixteenth of the window, so that the window prefetched under
a cursor is the one that the click asks for."""


def centred(position: Sequence[float], window: Triple, shape: Triple, step: int = 1) -> Triple:
    """Start of the window centred at a voxel, pushed inside the volume.

    Args:
        position: voxel of the model grid.
        window: its size.
        shape: of the volume; where it is smaller than the window, the window is centred on it.
        step: starts are rounded down to multiples of it, except at the border.
    """
    start = []
    for p, w, n in zip(position, window, shape, strict=True):
        if n <= w:
            start.append(-((w - n) // 2))
            continue
        low = (int(p) - w // 2 + step // 2) // step * step
        start.append(min(max(low, 0), n - w))
    return start[0], start[1], start[2]


def surrounding(
    start: Triple, window: Triple, context: Triple, shape: Triple
) -> tuple[Triple, Slices]:
    """The context that the encoder sees around a window: centred on it, pushed inside the volume.

    Returns:
        Start of the context, and the window in it.
    """
    middle = [s + w // 2 for s, w in zip(start, window, strict=True)]
    outer = centred(middle, context, shape)
    i, j, k = (slice(s - o, s - o + w) for s, o, w in zip(start, outer, window, strict=True))
    return outer, (i, j, k)


def lattice(window: Triple) -> int:
    """Step of `centred` for a window."""
    return max(1, min(window) // LATTICE)


def holds(start: Triple, window: Triple, position: Sequence[float]) -> bool:
    """Whether a voxel lies in the window; its outermost voxels count."""
    return all(s - 0.5 <= p < s + w - 0.5 for s, w, p in zip(start, window, position, strict=True))


def sees(
    start: Triple, window: Triple, shape: Triple, position: Sequence[float], margin: float = REUSE
) -> bool:
    """Whether a window answers a click well: it lies `margin` windows away from every face.

    A face at the border of the volume cuts nothing off.
    """
    if not holds(start, window, position):
        return False
    for s, w, n, p in zip(start, window, shape, position, strict=True):
        far = margin * w
        if s > 0 and p < s + far:
            return False
        if s + w < n and p > s + w - 1 - far:
            return False
    return True


def place(
    positions: Sequence[Sequence[float]],
    window: Triple,
    shape: Triple,
    *,
    margin: float = REUSE,
    step: int | None = None,
) -> list[Triple]:
    """Starts of the windows that these clicks need, in the order of the clicks.

    A window for the first click; for a later one only where no window sees it.
    """
    starts: list[Triple] = []
    for position in positions:
        if not any(sees(start, window, shape, position, margin) for start in starts):
            start = centred(position, window, shape, lattice(window) if step is None else step)
            if start not in starts:
                starts.append(start)
    return starts


def touched_faces(
    mask: np.ndarray, start: Triple, window: Triple, shape: Triple
) -> list[tuple[float, float, float]]:
    """Where a mask is cut by the window's faces: one voxel of the model grid per face.

    Args:
        mask: bool [window].
        start: of the window.
        window: its size.
        shape: of the volume; faces at its border cut nothing.

    Returns:
        The centre of the cut of each face that at least 4 voxels touch, largest cut first.
    """
    cuts = []
    for axis in range(3):
        for side, index in ((0, 0), (1, window[axis] - 1)):
            inside = start[axis] > 0 if side == 0 else start[axis] + window[axis] < shape[axis]
            face = mask.take(index, axis)
            count = int(np.count_nonzero(face)) if inside else 0
            if count < 4:
                continue
            centre = np.argwhere(face).mean(0).tolist()
            centre.insert(axis, float(index))
            a, b, c = (x + s for x, s in zip(centre, start, strict=True))
            cuts.append((count, (a, b, c)))
    return [position for _, position in sorted(cuts, key=lambda cut: -cut[0])]
