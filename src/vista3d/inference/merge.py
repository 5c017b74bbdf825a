"""Interactive refinement of a mask by a clicked mask (paper section 3.2, Alg. 1).

Pure functions over arrays of one object. Only connected components that a click touches change;
everything else of the first mask stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vista3d.volume import bounding_box, components

Voxel = tuple[int, int, int]


def refine(
    auto: np.ndarray,
    points: np.ndarray,
    positive: Sequence[Voxel],
    negative: Sequence[Voxel],
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Alg. 1 as printed.

    Added candidates are the components of `points - auto`, and, where a positive click lies in
    `auto`, those of `points` as well; removed ones the components of `auto - points`. A candidate
    counts where a click of its sign lies in it.

    The order of the clicks does not matter. Refining the result again with the same clicks and
    the same `points` changes nothing, except that a positive click outside `auto`, which took its
    own component of `points - auto`, lies inside the mask the second time and takes all of its
    component of `points`; a third time changes nothing at all. A session always refines the mask
    from before the clicks, so that this never shows.

    Args:
        auto: bool [i, j, k], the mask to refine (M_a).
        points: bool [i, j, k], what the network says of the clicks (M_p).
        positive: voxels of positive clicks; those outside the array count for nothing.
        negative: voxels of negative clicks.
        known: bool [i, j, k], where `points` says anything; elsewhere nothing changes.

    Returns:
        bool [i, j, k], a new array.
    """
    seen = np.ones(auto.shape, bool) if known is None else known
    said = points & seen
    added = _touched(said & ~auto, positive)
    if any(auto[voxel] for voxel in _inside(positive, auto.shape)):
        added |= _touched(said, positive)
    removed = _touched(auto & ~points & seen, negative)
    return np.asarray((auto | added) & ~removed)


def refine_official(
    base: np.ndarray, points: np.ndarray, positive: Sequence[Voxel], negative: Sequence[Voxel]
) -> np.ndarray:
    """What the released code does instead (facts 2.5), on logits and for comparison.

    It differs from Alg. 1 in this: the whole clicked mask may be added as soon as any click, of
    either sign, lies in the base mask; a click looks for its component up to 2 voxels around it
    and takes the one of the highest number where it finds several; the logits of a component are
    replaced. Its defects are left out: NaN voxels are filled here, and objects never connect
    through one another, because there is one object.

    Args:
        base: float [i, j, k], logits to refine; NaN where there are none yet.
        points: float [i, j, k], logits of the clicks.
        positive: voxels of positive clicks.
        negative: voxels of negative clicks.

    Returns:
        float [i, j, k]: `base`, with `points` in the components kept and where `base` was NaN.
    """
    missing = np.isnan(base)
    there = np.where(missing, -np.inf, base) > 0
    said = points > 0
    inside = any(there[voxel] for voxel in _inside([*positive, *negative], base.shape))
    added = said if inside else said & ~there
    kept = _near(added, positive) | _near(there & ~said, negative)
    # Positive voxels that no click asked for are not written where nothing was before.
    unasked = missing & said & ~kept
    answer = np.where(unasked, -1, points)
    return np.asarray(np.where(kept | missing, answer, base), dtype=base.dtype)


def _inside(voxels: Sequence[Voxel], shape: tuple[int, ...]) -> list[Voxel]:
    """The voxels that an array has."""
    return [v for v in voxels if all(0 <= x < n for x, n in zip(v, shape, strict=True))]


def _touched(mask: np.ndarray, voxels: Sequence[Voxel]) -> np.ndarray:
    """The components of a mask that contain one of the voxels."""
    hit = [voxel for voxel in _inside(voxels, mask.shape) if mask[voxel]]
    if not hit:
        return np.zeros_like(mask)
    box = bounding_box(mask)
    assert box is not None
    parts = components(mask[box])
    wanted = np.zeros(int(parts.max()) + 1, bool)
    for voxel in hit:
        wanted[parts[tuple(x - part.start for x, part in zip(voxel, box, strict=True))]] = True
    out = np.zeros_like(mask)
    out[box] = wanted[parts]
    return out


def _near(mask: np.ndarray, voxels: Sequence[Voxel]) -> np.ndarray:
    """Per voxel, the component found in the smallest cube of half-width 0, 1 or 2 around it."""
    out = np.zeros_like(mask)
    if not mask.any():
        return out
    parts = components(mask)
    for voxel in _inside(voxels, mask.shape):
        for width in range(3):
            cube = parts[tuple(slice(max(0, x - width), x + width + 1) for x in voxel)]
            if cube.any():
                out |= parts == cube.max()
                break
    return out
