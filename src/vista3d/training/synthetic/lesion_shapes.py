"""Solids of lesions in millimetres: bumpy ellipsoids, with spicules where they have some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_WAVES = 12
"""Plane waves whose sum over directions makes the bumps."""


@dataclass(frozen=True)
class Shape:
    """A closed surface around the origin.

    Attributes:
        radius: mm.
        axes: [3, 3] millimetres -> the frame where the ellipsoid is a sphere.
        bumps: [waves, 3] wave vectors and [waves] phases and amplitudes of the radius.
        spicules: [n, 3] directions of spicules, [n] lengths and half-widths in mm.
    """

    radius: float
    axes: Array
    bumps: tuple[Array, Array, Array]
    spicules: tuple[Array, Array, Array]

    @property
    def reach(self) -> float:
        """Radius in mm of a ball that holds the shape."""
        _, _, amplitudes = self.bumps
        stretch = float(np.linalg.norm(np.linalg.inv(self.axes), 2))
        body = self.radius * stretch * (1 + float(np.abs(amplitudes).sum()))
        _, lengths, _ = self.spicules
        return max(body, self.radius + float(lengths.max(initial=0)))


def draw_shape(
    radius: float,
    lobulation: float,
    spicules: int,
    rng: np.random.Generator,
) -> Shape:
    """A random shape.

    Args:
        radius: mm.
        lobulation: standard deviation of the radius over directions, as share of it.
        spicules: their number.
        rng: source of every random choice.
    """
    stretch = np.exp(rng.normal(0, 0.13, 3))
    stretch /= np.cbrt(stretch.prod())
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    axes = np.diag(1 / stretch) @ turn
    waves = rng.standard_normal((_WAVES, 3))
    waves *= (rng.uniform(1.5, 6, _WAVES) / np.linalg.norm(waves, axis=1))[:, None]
    phases = rng.uniform(0, 2 * np.pi, _WAVES)
    # A cosine has variance 1/2: the sum of all has the variance asked for. Slow waves are larger.
    amplitudes = 1 / np.linalg.norm(waves, axis=1)
    amplitudes *= lobulation * np.sqrt(2) / np.linalg.norm(amplitudes)
    directions = rng.standard_normal((spicules, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = radius * rng.uniform(0.2, 0.9, spicules)
    widths = rng.uniform(0.6, 1.3, spicules) * (1 + radius / 15)
    return Shape(
        radius,
        axes.astype(np.float32),
        (waves.astype(np.float32), phases.astype(np.float32), amplitudes.astype(np.float32)),
        (directions.astype(np.float32), lengths.astype(np.float32), widths.astype(np.float32)),
    )


def signed_distance(shape: Shape, offsets: Array) -> Array:
    """About the distance to the surface in mm, negative inside.

    Args:
        shape: the solid.
        offsets: [..., 3] mm from its centre.

    Returns:
        [...] float32.
    """
    frame = offsets @ shape.axes.T
    length = np.linalg.norm(frame, axis=-1)
    direction = frame / np.maximum(length, 1e-3)[..., None]
    waves, phases, amplitudes = shape.bumps
    surface = np.ones_like(length)
    for wave, phase, amplitude in zip(waves, phases, amplitudes, strict=True):
        surface += amplitude * np.cos(direction @ wave + phase)
    distance = length - np.float32(shape.radius) * surface
    for spike, reach, width in zip(*shape.spicules, strict=True):
        distance = np.minimum(distance, _spicule(offsets, shape.radius, spike, reach, width))
    return np.asarray(distance, np.float32)


def _spicule(offsets: Array, radius: float, spike: Array, reach: float, width: float) -> Array:
    """Distance to a needle from inside the body outwards that tapers to a point."""
    along = offsets @ spike
    across = np.linalg.norm(offsets - along[..., None] * spike, axis=-1)
    start = 0.6 * radius
    taper = np.clip(1 - (along - start) / (radius + reach - start), 0, 1)
    outside = np.maximum(start - along, along - radius - reach).clip(0)
    return np.asarray(np.hypot(across, outside) - width * taper + (taper == 0), np.float32)
