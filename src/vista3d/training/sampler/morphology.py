"""Erosion, dilation, opening and components of boolean patches.

3 x 3 x 3 neighbourhoods by shifting along one axis after the other: on six masks of 48^3 an
erosion takes 1.4 ms, the same by max_pool3d 32 ms. What lies beyond the patch is unknown: it
neither erodes a mask nor grows into it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vista3d import volume


def dilate(masks: Tensor, steps: int = 1) -> Tensor:
    """[..., H, W, D] bool, grown by `steps` voxels in all 26 directions."""
    out = masks
    for axis in (-3, -2, -1):
        size = masks.shape[axis]
        for _ in range(steps):
            grown = out.clone()
            grown.narrow(axis, 1, size - 1).logical_or_(out.narrow(axis, 0, size - 1))
            grown.narrow(axis, 0, size - 1).logical_or_(out.narrow(axis, 1, size - 1))
            out = grown
    return out


def erode(masks: Tensor, steps: int = 1) -> Tensor:
    """[..., H, W, D] bool, shrunk by `steps` voxels; the patch border does not shrink it."""
    return ~dilate(~masks, steps)


def box_of(mask: Tensor, margin: int = 0) -> tuple[slice, slice, slice]:
    """Bounding box of a [H, W, D] mask that is not empty, `margin` voxels larger."""
    parts = []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        line = torch.nonzero(mask.any(others[1]).any(others[0]))
        low, high = int(line[0]) - margin, int(line[-1]) + 1 + margin
        parts.append(slice(max(0, low), min(mask.shape[axis], high)))
    return parts[0], parts[1], parts[2]


def components(mask: Tensor) -> Tensor:
    """[H, W, D] bool -> int64: 26-connected components 1..n, 0 outside."""
    parts = volume.components(mask.cpu().numpy())
    return torch.from_numpy(parts.astype("int64")).to(mask.device)


def largest_component(mask: Tensor) -> Tensor:
    """The largest 26-connected component of a [H, W, D] mask; empty stays empty."""
    parts = components(mask)
    sizes = torch.bincount(parts.flatten())[1:]
    return parts == int(sizes.argmax()) + 1 if len(sizes) else mask


def opened(mask: Tensor) -> Tensor:
    """Eroded, largest component, dilated again within the mask: one solid piece (facts 3.5)."""
    if not bool(mask.any()):
        return mask
    out = torch.zeros_like(mask)
    box = box_of(mask, 1)
    out[box] = dilate(largest_component(erode(mask[box]))) & mask[box]
    return out


def attached(mask: Tensor, core: Tensor) -> Tensor:
    """The components of a [H, W, D] mask that touch `core`.

    Every component is looked at: the released loop stops one short, so that a mask of a single
    component is never found (facts 3.5).
    """
    parts = components(mask)
    touched = torch.zeros(int(parts.max()) + 1, dtype=torch.bool, device=mask.device)
    touched[parts[dilate(core)]] = True
    touched[0] = False
    return touched[parts]
