"""Our own objects, for machines without supervoxels and for what supervoxels never show.

A network that only ever met whole organs answers every click with the organ it lies in. Cuts,
unions, regions of one density and painted lesions have no name either: only the clicks say what is
meant.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d.training.sampler.morphology import dilate, erode
from vista3d.training.sampler.scene import SMALLEST, Scene
from vista3d.training.sampler.target import Target
from vista3d.training.synthetic.noise import smooth_noise

BONE = (150.0, 300.0)
"""HU of the lowest density that counts as bone, drawn anew each time."""

BODY = -500.0
"""HU above which a voxel is patient rather than air."""


def unnamed(scene: Scene, class_id: int) -> Target:
    """A whole structure under the zero-shot token: it must do what the supported one does."""
    return Target(scene.whole(class_id), novel=True)


def union(scene: Scene, class_id: int, rng: np.random.Generator) -> Target | None:
    """A structure and one that touches it; both need a positive click."""
    mask = scene.whole(class_id)
    ids = torch.unique(scene.labels[dilate(mask) & ~mask])
    neighbours = [i for i in ids.tolist() if i in scene.ids]
    if not neighbours:
        return None
    other = scene.whole(int(rng.choice(neighbours)))
    return Target(mask | other, novel=True, positive=(mask, other))


def cut(scene: Scene, class_id: int, rng: np.random.Generator) -> Target | None:
    """One side of a plane through a structure; the other side needs a negative click."""
    whole = scene.whole(class_id)
    voxels = torch.nonzero(whole).float()
    normal = torch.from_numpy(rng.standard_normal(3).astype(np.float32)).to(voxels.device)
    height = voxels @ normal
    level = torch.quantile(height[:: max(1, len(height) // 4096)], float(rng.uniform(0.25, 0.75)))
    keep = voxels[height > level].long()
    if not SMALLEST <= len(keep) <= len(voxels) - SMALLEST:
        return None
    mask = torch.zeros_like(whole)
    mask[tuple(keep.T)] = True
    return Target(mask, novel=True, negative=(whole & ~mask,))


def alike(hu: Tensor, rng: np.random.Generator) -> Target | None:
    """What is connected to a random body voxel and looks like it, opened, within a ball.

    Args:
        hu: [H, W, D] float32.
        rng: source of every random choice.
    """
    import cc3d

    smooth = F.avg_pool3d(hu[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    body = torch.nonzero(smooth > BODY)
    if len(body) == 0:
        return None
    seed = body[int(rng.integers(len(body)))]
    # Soft tissue differs by tens of HU, bone by hundreds.
    value = float(smooth[tuple(seed)])
    width = float(rng.uniform(20, 60)) + 0.4 * max(0.0, abs(value) - 60)
    radius = float(rng.uniform(5, 20))
    similar = (smooth - value).abs() < width
    similar &= distance(tuple(hu.shape), seed.float()) < radius
    parts = cc3d.connected_components(erode(similar).cpu().numpy(), connectivity=6)
    near = parts[tuple(slice(max(0, int(c) - 2), int(c) + 3) for c in seed)]
    if not near.any():
        return None
    part = torch.from_numpy(parts == near[near > 0][0]).to(hu.device)
    mask = similar & dilate(part)
    if not 4 * SMALLEST <= int(mask.sum()) <= mask.numel() // 4:
        return None
    return Target(mask, novel=True)


def bone(hu: Tensor, rng: np.random.Generator) -> Target | None:
    """A piece of bone, up to where it is thinnest, with its marrow.

    Regions of one density are compact, and few organs are long and thin: after one click on a jaw
    the network answered with the part around it. No label is looked at, as with supervoxels.

    Args:
        hu: [H, W, D] float32.
        rng: source of every random choice.
    """
    import cc3d
    from scipy import ndimage

    dense = erode(dilate(hu > float(rng.uniform(*BONE))))
    cores = cc3d.connected_components(erode(dense).cpu().numpy(), connectivity=6)
    voxels = torch.nonzero(dense)
    if len(voxels) == 0 or not cores.any():
        return None
    seed = tuple(voxels[int(rng.integers(len(voxels)))].tolist())
    at = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    owner = torch.from_numpy(cores[tuple(at)].astype(np.int64)).to(hu.device)
    mask = dense & (owner == owner[seed])
    if not 4 * SMALLEST <= int(mask.sum()) <= mask.numel() // 4:
        return None
    return Target(mask, novel=True)


def paint_lesion(hu: Tensor, rng: np.random.Generator) -> tuple[Tensor, Target | None]:
    """Paint a bumpy ellipsoid of its own density and texture anywhere into the body.

    Not a lesion of any organ (see `synthetic.lesions` for those): an object that nobody could name.

    Returns:
        hu [H, W, D] with the lesion, and the lesion; None where there is no body.
    """
    body = torch.nonzero(hu > BODY)
    if len(body) == 0:
        return hu, None
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    shape = tuple(hu.shape)
    centre = body[int(rng.integers(len(body)))].float()
    radius = float(np.exp(rng.uniform(np.log(1.8), np.log(14))))
    stretch = torch.from_numpy(np.exp(rng.normal(0, 0.25, 3)).astype(np.float32))
    bumps = smooth_noise(shape, max(2.0, radius / 2), generator).to(hu.device)
    inside = distance(shape, centre, stretch) / radius + 0.25 * bumps < 1
    inside &= hu > BODY  # lesions of the lung wall stop at the air; others do not leave the body
    if int(inside.sum()) < SMALLEST:
        return hu, None
    around = float(hu[inside].median())
    offset = float(rng.choice([-1, 1]) * rng.uniform(12, 90))
    grain = smooth_noise(shape, float(rng.uniform(1.2, 4)), generator).to(hu.device)
    texture = grain * float(rng.uniform(3, 30))
    soft = F.avg_pool3d(inside[None, None].float(), 3, stride=1, padding=1)[0, 0]
    keep = float(rng.uniform(0.0, 0.4))  # how much of what was there shows through
    painted = (1 - keep) * (around + texture) + keep * hu + offset
    return torch.lerp(hu, painted, soft), Target(inside, novel=True)


def draw_balls(size: int, rng: np.random.Generator, count: int) -> list[Target]:
    """Balls of 3 to 6 voxels radius anywhere in a cube: what a click means before anatomy."""
    return [
        Target(
            distance((size,) * 3, torch.from_numpy(rng.uniform(3, size - 4, 3)).float())
            < float(rng.uniform(3, 6)),
            novel=bool(rng.random() < 0.5),
        )
        for _ in range(count)
    ]


def distance(shape: tuple[int, ...], centre: Tensor, stretch: Tensor | None = None) -> Tensor:
    """Voxels from `centre` [3], each axis divided by its stretch [3]; float32 of `shape`."""
    total = torch.zeros(shape, device=centre.device)
    for axis, size in enumerate(shape):
        offset = torch.arange(size, dtype=torch.float32, device=centre.device) - centre[axis]
        if stretch is not None:
            offset = offset / stretch[axis]
        view = [1, 1, 1]
        view[axis] = size
        total = total + offset.square().reshape(view)
    return total.sqrt()
