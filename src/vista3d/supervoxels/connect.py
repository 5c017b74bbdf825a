"""Every supervoxel one region: fragments that clustering cut off join a neighbour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vista3d.supervoxels.blocks import Space
from vista3d.supervoxels.sums import add_rows


@dataclass
class Regions:
    """Regions and which of them touch; region 0 is the outside and touches nothing.

    Attributes:
        size: int64 [n], voxels.
        total: float64 [n, C + 3], size times the mean features and position.
        low, high: int64 [m], pairs that touch, the lower number first; one of them is small.
    """

    size: np.ndarray
    total: np.ndarray
    low: np.ndarray
    high: np.ndarray


def connect(
    labels: Tensor, smallest: float, features: Tensor, space: Space, centres: Tensor
) -> Tensor:
    """Split labels into 6-connected regions and merge the small ones into what they touch.

    A region below `smallest` joins the nearest of the larger ones that it touches, by the distance
    of their means; this is repeated until every region is large enough or touches nothing.

    Args:
        labels: int32 [h, w, d], 0 is outside.
        smallest: voxels.
        features: [C, h, w, d].
        space: in which distances are measured.
        centres: float32 [clusters, C + 4], of label 1, 2, ...; it stands for the mean of every
            region that is large enough.

    Returns:
        int32 [h, w, d] on the same device: 1..n, 0 outside.
    """
    import cc3d

    array = labels.cpu().numpy()
    numbers = cc3d.connected_components(array, connectivity=6, out_dtype=np.uint32)
    size = np.bincount(numbers.ravel())
    label = np.zeros(len(size), np.int64)
    label[numbers.ravel()] = array.ravel()
    mean = centres.cpu().numpy().astype(np.float64)[label - 1, :-1]
    mean[0] = 0
    small = size < smallest
    small[0] = False
    _measure(mean, small, numbers, features, space)
    regions = Regions(size, mean * size[:, None], *_touching(numbers, small))
    final = _renumber(_merge(regions, smallest))
    return torch.from_numpy(final[numbers]).to(labels.device)


def _measure(
    mean: np.ndarray, which: np.ndarray, numbers: np.ndarray, features: Tensor, space: Space
) -> None:
    """Put the true means of some regions into `mean`."""
    voxels = np.flatnonzero(which[numbers])
    if not len(voxels):
        return
    index = torch.from_numpy(voxels).to(features.device)
    values = space.features(features.flatten(1).index_select(1, index))
    place = np.unravel_index(voxels, numbers.shape)
    where = [
        space.positions(torch.from_numpy(x).to(features.device), axis)
        for axis, x in enumerate(place)
    ]
    one = torch.ones_like(where[0])
    rows = torch.cat([values, torch.stack([*where, one])]).T.contiguous()
    row = np.cumsum(which) - 1
    order = torch.from_numpy(row[numbers.ravel()[voxels]]).to(features.device)
    total = add_rows(order, rows, int(which.sum())).double().cpu().numpy()
    mean[which] = total[:, :-1] / total[:, -1:]


def _touching(numbers: np.ndarray, small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of regions that share a voxel face, the lower number first; one of them is small."""
    count = int(numbers.max(initial=0)) + 1
    keys = []
    within = small[numbers]
    for axis in range(3):
        ahead, fragment = np.moveaxis(numbers, axis, 0), np.moveaxis(within, axis, 0)
        one, other = ahead[1:], ahead[:-1]
        met = (one != other) & (fragment[1:] | fragment[:-1])
        a, b = one[met].astype(np.int64), other[met].astype(np.int64)
        key = np.minimum(a, b) * count + np.maximum(a, b)
        keys.append(key[key >= count])  # a lower number of 0 is the outside
    pairs = np.unique(np.concatenate(keys))
    return pairs // count, pairs % count


def _merge(regions: Regions, smallest: float) -> np.ndarray:
    """For every region the one that it ends up in."""
    root = np.arange(len(regions.size))
    while True:
        step = _join(regions, smallest)
        if step is None:
            return root
        root = step[root]
        regions = _contract(regions, step)


def _join(regions: Regions, smallest: float) -> np.ndarray | None:
    """One round: for every region itself, or what it joins; None where nothing can join."""
    size = regions.size
    source = np.concatenate([regions.low, regions.high])
    target = np.concatenate([regions.high, regions.low])
    # Towards the larger one, of equals the first: no two regions can join each other.
    up = (size[target] > size[source]) | ((size[target] == size[source]) & (target < source))
    asked = (size[source] < smallest) & up
    if not asked.any():
        return None
    source, target = source[asked], target[asked]
    mean = (regions.total / np.maximum(size, 1)[:, None]).astype(np.float32)
    apart = mean[source] - mean[target]
    distance = np.einsum("nc,nc->n", apart, apart)
    least = np.full(len(size), np.inf)
    np.minimum.at(least, source, distance)
    best = distance == least[source]
    step = np.full(len(size), len(size))
    np.minimum.at(step, source[best], target[best])
    step = np.where(step == len(size), np.arange(len(size)), step)
    while (step[step] != step).any():
        step = step[step]
    return step


def _contract(regions: Regions, step: np.ndarray) -> Regions:
    """The regions after a round; those that joined another are empty."""
    count = len(step)
    total = add_rows(torch.from_numpy(step), torch.from_numpy(regions.total), count).numpy()
    size = np.bincount(step, weights=regions.size, minlength=count).astype(np.int64)
    a, b = step[regions.low], step[regions.high]
    apart = a != b
    a, b = a[apart], b[apart]
    pairs = np.unique(np.minimum(a, b) * count + np.maximum(a, b))
    return Regions(size, total, pairs // count, pairs % count)


def _renumber(root: np.ndarray) -> np.ndarray:
    """What regions end up in, as 1..n in the same order; 0 stays 0: int32."""
    kept = np.unique(root[1:])
    table = np.zeros(len(root), np.int32)
    table[kept] = np.arange(1, len(kept) + 1)
    return np.asarray(table[root])
