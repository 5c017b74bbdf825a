"""A small oblique scan with a few structures, shared by the tests of results/."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d.volume import Volume

LIVER, RIGHT_KIDNEY, SPINAL_CORD, LEFT_KIDNEY = 1, 5, 121, 14
SPACING = np.array([1.5, 2.0, 3.0])


def rotation(ax: float, az: float) -> np.ndarray:
    """Rotation by angles in radians about x, then z."""
    cx, sx, cz, sz = np.cos(ax), np.sin(ax), np.cos(az), np.sin(az)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_x


@pytest.fixture
def affine() -> np.ndarray:
    """LPS-like, 17 and 6 degrees oblique, origin far from 0."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(0.3, 0.1) @ np.diag([-1, -1, 1]) @ np.diag(SPACING)
    matrix[:3, 3] = [120.25, 80.5, -310.75]
    return matrix


@pytest.fixture
def volume(affine: np.ndarray) -> Volume:
    """Noise of -100 to 200 HU on a 20 x 16 x 12 grid."""
    values = np.random.default_rng(3).integers(-100, 200, (20, 16, 12)).astype(np.int16)
    return Volume.from_array(values, affine)


@pytest.fixture
def labels() -> np.ndarray:
    """Liver inside, right kidney at the border, a cord of one voxel width; no left kidney."""
    array = np.zeros((20, 16, 12), np.uint8)
    array[3:11, 4:10, 2:8] = LIVER
    array[14:20, 5:9, 3:6] = RIGHT_KIDNEY
    array[12, 12, 1:11] = SPINAL_CORD
    return array
