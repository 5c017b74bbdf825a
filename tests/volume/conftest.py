"""Small CT-like volumes on any grid."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from vista3d.volume import Volume


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    """Rotation matrix from three Euler angles, radians."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", angles).as_matrix())


ORIENTATIONS = tuple(
    itertools.product(itertools.permutations(range(3)), itertools.product((-1, 1), repeat=3))
)
"""The 48 ways to lay an array along the world's axes: (order, signs)."""


@st.composite
def grids(
    draw: st.DrawFn,
    kinds: tuple[str, ...] = ("axes", "oblique", "sheared"),
    orientations: tuple = ORIENTATIONS,
):
    """(shape, affine): orientations, oblique and sheared, odd sizes, spacings 0.3 to 10 mm."""
    shape = tuple(draw(st.integers(6, 24)) for _ in range(3))
    spacing = [draw(st.floats(0.3, 10)) for _ in range(3)]
    order, signs = draw(st.sampled_from(orientations))
    linear = np.eye(3)[list(order)] * signs @ np.diag(spacing)
    kind = draw(st.sampled_from(kinds))
    if kind == "oblique":
        angles = tuple(draw(st.floats(-0.6, 0.6)) for _ in range(3))
        linear = rotation(angles) @ linear
    elif kind == "sheared":
        shear = np.eye(3)
        shear[0, 2], shear[1, 2] = draw(st.floats(-0.4, 0.4)), draw(st.floats(-0.4, 0.4))
        linear = shear @ linear
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return shape, affine


def noise(shape: tuple[int, int, int], affine: np.ndarray, seed: int = 0) -> Volume:
    """Random HU."""
    array = np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)
    return Volume(array, affine)
