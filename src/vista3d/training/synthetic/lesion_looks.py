"""Density and texture of one lesion: core, rim, calcium, and the grain of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vista3d.phantom.tissue import Phase
from vista3d.training.synthetic.lesion_places import Spacing
from vista3d.training.synthetic.lesion_shapes import Shape, draw_shape
from vista3d.training.synthetic.lesion_types import LesionKind, Zone

Array = NDArray[np.float32]

WATER = 20.0
"""HU of what fills air in a ground-glass nodule."""

GRAIN = 12.0
"""HU: largest noise that is taken from the scan; what is more are edges of the organ."""


@dataclass(frozen=True)
class Look:
    """The numbers drawn for one lesion; see LesionKind."""

    shape: Shape
    hu: float
    texture: float
    ragged: float
    edge: float
    core: tuple[float, float] | None
    rim: tuple[float, float] | None
    calcified: bool


def draw_look(
    kind: LesionKind, radius: float, phase: Phase, organ_hu: float, rng: np.random.Generator
) -> Look:
    """Draw the numbers of one lesion."""
    spicules = int(rng.integers(kind.spicules[0], kind.spicules[1] + 1))
    lobulation = float(rng.uniform(*kind.lobulation))
    shape = draw_shape(radius, lobulation, spicules, rng)
    level = rng.uniform(*kind.density.range(phase)) + (organ_hu if kind.density.relative else 0)
    return Look(
        shape=shape,
        hu=float(level),
        texture=float(rng.uniform(*kind.texture)),
        ragged=0.8 * lobulation,
        # A margin is never blurred over more than half of the radius.
        edge=float(min(rng.uniform(*kind.edge), radius / 2)),
        core=_zone(kind.core, radius, rng),
        rim=_zone(kind.rim, radius, rng),
        calcified=bool(rng.random() < kind.calcified),
    )


def _zone(zone: Zone, radius: float, rng: np.random.Generator) -> tuple[float, float] | None:
    """HU and extent of a core or rim, or None."""
    if rng.random() >= zone.chance or 2 * radius < zone.above:
        return None
    return float(rng.uniform(*zone.hu)), float(rng.uniform(*zone.extent))


def fill(
    hu: Array,
    region: NDArray[np.bool_],
    distance: Array,
    spacing: Spacing,
    kind: LesionKind,
    look: Look,
    organ_hu: float,
    rng: np.random.Generator,
) -> Array:
    """HU of the lesion over its whole box."""
    from scipy import ndimage

    radius, blur = look.shape.radius, float(np.mean(spacing))
    out = look.hu + look.texture * texture(hu.shape, spacing, radius, rng)
    if look.rim is not None:
        added, width = look.rim
        # Fades inwards from the surface.
        out += added * np.exp(-0.5 * ((distance + width / 2) / (width / 2 + blur / 2)) ** 2)
    if kind.fills_air:
        # A share of the air becomes water, so vessels, which hold none, keep their density.
        out = hu + (out - organ_hu) / (WATER - organ_hu) * (WATER - hu)
    if look.core is not None:
        level, share = look.core
        ragged = 0.18 * radius * texture(hu.shape, spacing, 1.5 * radius, rng)
        deep = (distance + (1 - share) * radius < ragged).astype(np.float32)
        weight = ndimage.gaussian_filter(deep, [(0.6 + 0.06 * radius) / s for s in spacing])
        out += weight * (level + 0.5 * (out - look.hu) * (not kind.fills_air) - out)
    if look.calcified:
        specks = (texture(hu.shape, spacing, 4.0, rng) > 2.2) & (distance < -0.3 * radius)
        bright = ndimage.gaussian_filter(specks.astype(np.float32), [0.5 / s for s in spacing])
        out += np.minimum(1.5 * bright, 1) * (rng.uniform(180, 500) - out)
    if not kind.fills_air:
        out += _grain(hu, region, spacing)
    return np.asarray(out, np.float32)


def texture(
    shape: tuple[int, ...], spacing: Spacing, radius: float, rng: np.random.Generator
) -> Array:
    """Noise of unit variance with grains of about a third of the radius, at least 1.5 mm."""
    from scipy import ndimage

    sigma = [max(1.5, radius / 3) / 2 / s for s in spacing]
    noise = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma)
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


def _grain(hu: Array, region: NDArray[np.bool_], spacing: Spacing) -> Array:
    """The fine noise of the scan: what a 2.5 mm blur takes away, without edges and vessels."""
    from scipy import ndimage

    fine = hu - ndimage.gaussian_filter(hu, [2.5 / 2 / s for s in spacing])
    sigma = min(GRAIN, 1.4826 * float(np.median(np.abs(fine[region]))))
    return np.asarray(np.where(np.abs(fine) < 2.5 * sigma, fine, 0), np.float32)
