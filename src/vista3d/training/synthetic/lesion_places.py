"""Where in an organ a lesion finds room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vista3d.training.synthetic.lesion_types import LesionKind, Organ

Array = NDArray[np.float32]
Spacing = tuple[float, float, float]
Box = tuple[slice, slice, slice]

LUNG = -500.0
"""HU below which an organ is lung: its nodules may touch the pleura."""


@dataclass(frozen=True)
class Place:
    """Room for a lesion.

    Attributes:
        centre: voxel (i, j, k).
        radius: mm.
        organ_hu: median of the organ.
        spread: HU from it within which a voxel looks like the organ.
    """

    centre: tuple[int, int, int]
    radius: float
    organ_hu: float
    spread: float


def draw_site(
    organ: Organ, sizes: NDArray[np.integer], rng: np.random.Generator
) -> tuple[int, ...]:
    """One of the organ's parts, in proportion to its volume."""
    volumes = np.array([sizes[list(site)].sum() for site in organ.sites], float)
    return organ.sites[int(rng.choice(len(volumes), p=volumes / volumes.sum()))]


def draw_place(
    hu: Array,
    region: NDArray[np.bool_],
    spacing: Spacing,
    organ: Organ,
    kind: LesionKind,
    rng: np.random.Generator,
) -> Place | None:
    """Choose where and how large; None where the organ has no room.

    The centre looks like the organ, not like a vessel or gas in it, and lies at least 0.6 radii
    deep, mostly more (lung: a quarter, nodules may touch the pleura). Depth is measured on a grid
    of about 2.5 mm: for whole lungs of 1 mm voxels the exact map takes 4 s, this 0.2 s.
    """
    from scipy import ndimage

    box = _bounding_box(region)
    if box is None:
        return None
    steps = [max(1, round(2.5 / s)) for s in spacing]
    coarse = tuple(
        slice(part.start, part.stop, step) for part, step in zip(box, steps, strict=True)
    )
    values = hu[coarse]
    smooth = ndimage.uniform_filter(values, 3)
    inside = region[coarse] & (smooth > organ.least)
    if not inside.any():
        return None
    sampling = [s * step for s, step in zip(spacing, steps, strict=True)]
    # One voxel of outside: the organ ends where its box does, unless the scan cuts it off.
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=sampling)[1:-1, 1:-1, 1:-1]
    organ_hu = float(np.median(values[inside]))
    spread = 1.4826 * float(np.median(np.abs(values[inside] - organ_hu))) + 5
    size = kind.size
    diameter = float(np.clip(rng.lognormal(np.log(size.median), size.sigma), size.low, size.high))
    radius = min(diameter / 2, kind.fit * float(depth.max()))
    least = rng.uniform(0.25 if organ_hu < LUNG else 0.6, 1.1) * radius
    possible = inside & (depth >= least) & (np.abs(smooth - organ_hu) < spread)
    places = np.argwhere(possible)
    if len(places) == 0:
        return None
    chosen = places[int(rng.integers(len(places)))]
    i, j, k = (int(c) * step + part.start for c, step, part in zip(chosen, steps, box, strict=True))
    return Place((i, j, k), radius, organ_hu, spread)


def _bounding_box(region: NDArray[np.bool_]) -> Box | None:
    lines = [np.flatnonzero(region.any(axis)) for axis in ((1, 2), (0, 2), (0, 1))]
    if len(lines[0]) == 0:
        return None
    i, j, k = (slice(int(line[0]), int(line[-1]) + 1) for line in lines)
    return i, j, k
