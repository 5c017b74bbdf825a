"""Procedural lesions, painted into a real CT and its labels (paper section 3.4, stage 4).

The scan keeps its noise: what is painted is the mean density, with the fine grain that the scan has
there. Everything is in millimetres, so that any voxel size gives the same lesion.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vista3d.errors import UsageError
from vista3d.phantom.tissue import Phase
from vista3d.training.synthetic.lesion_kinds import ORGANS, class_of
from vista3d.training.synthetic.lesion_looks import draw_look, fill, texture
from vista3d.training.synthetic.lesion_places import LUNG, Box, Spacing, draw_place, draw_site
from vista3d.training.synthetic.lesion_shapes import signed_distance
from vista3d.training.synthetic.phase import contrast_phase

log = logging.getLogger(__name__)

Array = NDArray[np.float32]

TRIES = 20
"""Places tried for a lesion before it is given up."""

SMALLEST = 3
"""Voxels of the smallest lesion: fewer are noise at this voxel size."""


@dataclass(frozen=True)
class Lesion:
    """What was painted.

    Attributes:
        organ: key of ORGANS.
        kind: of lesion.
        class_id: global id of its voxels.
        centre: voxel index (i, j, k).
        diameter_mm: of a ball of its volume.
        volume_ml: of its voxels.
        mean_hu: inside, after painting.
        organ_hu: median of the organ around.
        phase: contrast phase that was read from the scan.
    """

    organ: str
    kind: str
    class_id: int
    centre: tuple[int, int, int]
    diameter_mm: float
    volume_ml: float
    mean_hu: float
    organ_hu: float
    phase: Phase


def paint_lesions(
    hu: NDArray[np.generic],
    labels: NDArray[np.integer],
    spacing: Spacing,
    rng: np.random.Generator,
    organs: Sequence[str],
    count: int = 1,
) -> tuple[Array, NDArray[np.integer], list[Lesion]]:
    """Paint lesions into a scan.

    Args:
        hu: (i, j, k) HU, any number type.
        labels: (i, j, k) global ids.
        spacing: voxel size along i, j, k in mm.
        rng: source of every random choice.
        organs: keys of ORGANS; each lesion grows in one of them at random.
        count: lesions; fewer where no place is found in TRIES attempts.

    Returns:
        Copies: HU as float32, labels in their type, changed only where a lesion lies; and the
        lesions in the order in which they were painted.

    Raises:
        UsageError: an unknown organ, or one that the labels do not have.
    """
    scan, labels = np.array(hu, np.float32), labels.copy()
    sizes = np.bincount(labels.ravel(), minlength=256)
    for name in organs:
        _check(name, sizes)
    phase = contrast_phase(scan, labels)
    free = np.ones(labels.shape, bool)
    painted: list[Lesion] = []
    for _ in range(count):
        name = str(rng.choice(list(organs)))
        for _ in range(TRIES):
            lesion = _paint_one(scan, labels, free, spacing, phase, name, sizes, rng)
            if lesion is not None:
                painted.append(lesion)
                break
        else:
            log.warning("no place for a lesion of the %s in %d tries", name, TRIES)
    return scan, labels, painted


def _check(name: str, sizes: NDArray[np.integer]) -> None:
    if name not in ORGANS:
        msg = f"no lesions are known for {name!r}: choose from {', '.join(ORGANS)}"
        raise UsageError(msg)
    if not any(sizes[list(site)].any() for site in ORGANS[name].sites):
        msg = f"the label map has no {name}: leave it out, or give a map with global class ids"
        raise UsageError(msg)


def _paint_one(
    hu: Array,
    labels: NDArray[np.integer],
    free: NDArray[np.bool_],
    spacing: Spacing,
    phase: Phase,
    name: str,
    sizes: NDArray[np.integer],
    rng: np.random.Generator,
) -> Lesion | None:
    """Paint one lesion in place; None, and nothing changed, where it finds no room."""
    from scipy import ndimage

    organ = ORGANS[name]
    kind = organ.kinds[int(rng.choice(len(organ.kinds), p=[k.share for k in organ.kinds]))]
    site = draw_site(organ, sizes, rng)
    region = np.isin(labels, site) & free
    place = draw_place(hu, region, spacing, organ, kind, rng)
    if place is None:
        return None
    look = draw_look(kind, place.radius, phase, place.organ_hu, rng)
    box = _box(place.centre, look.shape.reach + 3 * max(spacing), spacing, hu.shape)
    own = region[box] & (ndimage.uniform_filter(hu[box], 3) > organ.least)
    offsets = _offsets(box, place.centre, spacing)
    distance = signed_distance(look.shape, offsets)
    # Star-shaped solids look drawn; the margin follows the tissue.
    distance += (
        look.ragged * place.radius * texture(distance.shape, spacing, 1.5 * place.radius, rng)
    )
    cover = _cover(distance, offsets, spacing, look.edge)
    inside = own & (cover > 0.5)
    if np.count_nonzero(inside) < SMALLEST:
        return None
    # Labels leak: that of a pancreas holds the fat between its lobules.
    if abs(float(np.median(hu[box][inside])) - place.organ_hu) > place.spread:
        return None
    new = fill(hu[box], own, distance, spacing, kind, look, place.organ_hu, rng)
    cover *= own if place.organ_hu < LUNG else _within(own, spacing)
    hu[box] += cover * (new - hu[box])
    class_id = class_of(kind, site)
    labels[box][inside] = class_id
    free[box][inside] = False
    volume = float(np.count_nonzero(inside) * np.prod(spacing))
    return Lesion(
        organ=name,
        kind=kind.name,
        class_id=class_id,
        centre=place.centre,
        diameter_mm=round(float(np.cbrt(6 * volume / np.pi)), 2),
        volume_ml=round(volume / 1000, 4),
        mean_hu=round(float(hu[box][inside].mean()), 1),
        organ_hu=round(place.organ_hu, 1),
        phase=phase,
    )


def _box(
    centre: tuple[int, int, int], reach: float, spacing: Spacing, shape: tuple[int, ...]
) -> Box:
    """The part of the scan within `reach` mm of a voxel."""
    i, j, k = (
        slice(max(0, c - int(np.ceil(reach / s))), min(n, c + int(np.ceil(reach / s)) + 1))
        for c, s, n in zip(centre, spacing, shape, strict=True)
    )
    return i, j, k


def _offsets(box: Box, centre: tuple[int, int, int], spacing: Spacing) -> Array:
    """[..., 3] mm from the centre."""
    axes = [
        (np.arange(part.start, part.stop) - c) * s
        for part, c, s in zip(box, centre, spacing, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)


def _cover(distance: Array, offsets: Array, spacing: Spacing, edge: float) -> Array:
    """Share of each voxel inside the lesion, 0 to 1: a ramp as wide as the voxel and the margin."""
    direction = offsets / np.maximum(np.linalg.norm(offsets, axis=-1, keepdims=True), 1e-3)
    voxel = np.linalg.norm(direction * np.asarray(spacing, np.float32), axis=-1)
    width = np.maximum(np.hypot(voxel, np.float32(edge)), min(spacing))
    return np.asarray(np.clip(0.5 - distance / width, 0, 1), np.float32)


def _within(region: NDArray[np.bool_], spacing: Spacing) -> Array:
    """Weight of painting: 0 outside the organ, two thirds in its outermost voxels, then 1.

    Those voxels hold some of what lies outside; painted fully, a dark lesion at the surface of the
    liver would brighten the fat beside it. Not for the lung: a nodule at the pleura has no gap.
    """
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(region, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    return np.asarray(np.clip(depth / (1.5 * min(spacing)), 0, 1), np.float32)
