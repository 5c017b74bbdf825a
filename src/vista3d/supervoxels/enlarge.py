"""Labels to a finer grid with smooth borders."""

from __future__ import annotations

import itertools

import numpy as np


def enlarge(labels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Labels on a grid that spans the same box with more voxels.

    A voxel takes the label with the largest trilinear weight among the eight voxels around it;
    0 never wins where there is another label, so that masks can be cut by the finer image.

    Args:
        labels: int32 [h, w, d].
        shape: at least as many voxels along every axis.

    Returns:
        int32 [*shape].
    """
    if labels.shape == shape:
        return labels.copy()
    axes = [_between(size, out) for size, out in zip(labels.shape, shape, strict=True)]
    pure = _uniform(labels)
    low = [low for low, _ in axes]
    out = np.empty(shape, np.int32)
    for i, (at, part) in enumerate(zip(*axes[0], strict=True)):
        out[i] = labels[at][low[1]][:, low[2]]
        j, k = np.nonzero(~pure[at][low[1]][:, low[2]])
        if len(j):
            out[i, j, k] = _vote(labels, (at, part), (axes[1], j), (axes[2], k))
    return out


def _between(size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """For every fine voxel of an axis the coarse one below it, and how far it is to the next."""
    position = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    low = np.minimum(position.astype(np.intp), max(0, size - 2))
    return low, (position - low).astype(np.float32)


def _uniform(labels: np.ndarray) -> np.ndarray:
    """Whether a voxel and its seven next ones have one label."""
    pure = np.ones(labels.shape, bool)
    for axis in range(3):
        same, label = np.moveaxis(pure, axis, 0), np.moveaxis(labels, axis, 0)
        # In place along one axis after the other: a cube is uniform if its edges are.
        same[:-1] &= same[1:] & (label[:-1] == label[1:])
    return pure


def _vote(
    labels: np.ndarray,
    plane: tuple[int, float],
    rows: tuple[tuple[np.ndarray, np.ndarray], np.ndarray],
    columns: tuple[tuple[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """The winners among the eight corners around some voxels of a plane: int32 [n]."""
    (low_j, part_j), j = rows
    (low_k, part_k), k = columns
    corner, weight = [], []
    for a, b, c in itertools.product((0, 1), repeat=3):
        at = [min(plane[0] + a, labels.shape[0] - 1), low_j[j] + b, low_k[k] + c]
        corner.append(labels[at[0], np.minimum(at[1], labels.shape[1] - 1),
                             np.minimum(at[2], labels.shape[2] - 1)])  # fmt: skip
        along = (
            plane[1] if a else 1 - plane[1],
            part_j[j] if b else 1 - part_j[j],
            part_k[k] if c else 1 - part_k[k],
        )
        weight.append(along[0] * along[1] * along[2])
    found, share = np.stack(corner), np.stack(weight)
    votes = np.stack([(share * (found == one)).sum(0) for one in found])
    votes[found == 0] = -1
    return np.asarray(found[votes.argmax(0), np.arange(len(j))])
