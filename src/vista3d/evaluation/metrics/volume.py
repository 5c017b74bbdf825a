"""How much tissue a mask holds."""

from __future__ import annotations

import numpy as np

from vista3d.volume import Geometry


def volume_ml(mask: np.ndarray, geometry: Geometry) -> float:
    """Millilitres of a bool mask [i, j, k]; sheared voxels count with their true volume."""
    voxel_ml = abs(float(np.linalg.det(geometry.affine[:3, :3]))) / 1000
    return int(np.count_nonzero(mask)) * voxel_ml
