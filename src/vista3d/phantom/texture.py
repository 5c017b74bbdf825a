"""Repeatable three-dimensional grain for tissues: value noise on a lattice, in patient mm.

The value depends on the position only, so slabs of one image fit together seamlessly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vista3d.phantom.shapes import Array

_SIZE = 64  # lattice points per axis; the grain repeats after 64 periods


@dataclass(frozen=True)
class Grain:
    """Smooth noise with unit variance at lattice points."""

    lattice: Array

    def __call__(self, x: Array, y: Array, z: Array, period: float) -> Array:
        """Noise whose blobs are about `period` mm wide; shape of x, float32."""
        from scipy.ndimage import map_coordinates

        where = np.stack([x, y, z]) * np.float32(1 / period) % np.float32(_SIZE)
        return np.asarray(map_coordinates(self.lattice, where, order=1, mode="grid-wrap"))


def grain(rng: np.random.Generator) -> Grain:
    """A grain drawn from a random stream."""
    return Grain(rng.standard_normal((_SIZE,) * 3).astype(np.float32))


def scanner_noise(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    level: Array,
    rng: np.random.Generator,
) -> Array:
    """Noise of a reconstructed image, correlated over about 1.5 mm in the slice.

    Args:
        shape: (i, j, k).
        spacing: mm.
        level: standard deviation in HU per slice, [k].
        rng: random stream.

    Returns:
        float32 (i, j, k).
    """
    from scipy.ndimage import gaussian_filter

    out = rng.standard_normal(shape, dtype=np.float32)
    sigma = [min(0.9 / size, 2.0) for size in spacing[:2]]
    out = gaussian_filter(out, (*sigma, 0.3), output=np.float32)
    out /= max(float(out[:: max(1, shape[0] // 64)].std()), 1e-6)
    out *= level.astype(np.float32)
    return np.asarray(out)


def streaks(dense: Array, rng: np.random.Generator, strength: float) -> Array:
    """Horizontal streaks where much bone lies side by side (shoulders, hips).

    Args:
        dense: bone length in mm along x per row, (j, k).
        rng: random stream.
        strength: HU per 100 mm of bone.

    Returns:
        float32 (j, k), the same for all i.
    """
    from scipy.ndimage import gaussian_filter

    lines = rng.standard_normal(dense.shape).astype(np.float32)
    weight = gaussian_filter(np.maximum(dense - 20, 0) / 100, (1.5, 0))
    return np.asarray(lines * weight * np.float32(strength), np.float32)
