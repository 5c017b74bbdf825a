"""Where voxels are: a grid in patient space."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from vista3d.errors import GeometryError

_CODES = (("L", "R"), ("P", "A"), ("I", "S"))
_SHEAR_TOLERANCE = 1e-4
"""Largest cosine between two axes of a grid that still counts as orthogonal: 0.006 degrees, less
than the rounding of direction cosines in DICOM's 16-character decimals."""

SAME_GRID_MM = 0.1
"""Corner voxels that lie within this distance are at the same place: headers round."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """A voxel grid.

    Attributes:
        shape: voxels along (i, j, k).
        affine: [4, 4] float64, voxel index (i, j, k) -> RAS+ world, mm.

    Raises:
        GeometryError: an affine that is not finite, not invertible, or not 4x4.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            msg = f"the affine has shape {affine.shape}, it must be (4, 4)"
            raise GeometryError(msg)
        if not np.isfinite(affine).all():
            msg = f"the affine has values that are not finite: {affine[:3].tolist()}"
            raise GeometryError(msg)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        volume = abs(np.linalg.det(affine[:3, :3]))
        if spacing.min() <= 1e-6 or volume <= 1e-6 * spacing.prod():
            msg = (
                f"the affine is singular (voxel size {spacing.round(6).tolist()} mm, "
                f"determinant {volume:.3g}): correct the header, or give an affine"
            )
            raise GeometryError(msg)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along (i, j, k), mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k

    @property
    def direction(self) -> np.ndarray:
        """[3, 3] unit vectors of the axes as columns."""
        return np.asarray(self.affine[:3, :3] / np.array(self.spacing))

    @property
    def is_sheared(self) -> bool:
        """Whether the axes are not at right angles (a gantry tilt, say)."""
        cosines = self.direction.T @ self.direction - np.eye(3)
        return bool(np.abs(cosines).max() > _SHEAR_TOLERANCE)

    @property
    def orientation(self) -> str:
        """Anatomical direction in which each index grows, "RAS" or "LPS" for example."""
        return "".join(_CODES[world][int(positive)] for world, positive in axes_of(self.affine))

    def corner_gap(self, other: Geometry) -> float:
        """Largest distance between corresponding corner voxels of two grids, mm."""
        ours, theirs = (grid.to_world(_corners(grid.shape)) for grid in (self, other))
        return float(np.linalg.norm(ours - theirs, axis=1).max())

    def matches(self, other: Geometry, tolerance_mm: float = SAME_GRID_MM) -> bool:
        """Whether it is the same grid: equal shapes, and no corner further apart than that."""
        return self.shape == other.shape and self.corner_gap(other) <= tolerance_mm

    def to_world(self, voxels: np.ndarray) -> np.ndarray:
        """Voxel indices [N, 3] -> RAS+ mm [N, 3]."""
        points = np.atleast_2d(np.asarray(voxels, np.float64))
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_voxel(self, world: np.ndarray) -> np.ndarray:
        """RAS+ mm [N, 3] -> voxel indices [N, 3], not rounded."""
        points = np.atleast_2d(np.asarray(world, np.float64)) - self.affine[:3, 3]
        return np.asarray(points @ np.linalg.inv(self.affine[:3, :3]).T)


def _corners(shape: tuple[int, int, int]) -> np.ndarray:
    """Voxel indices [8, 3]."""
    return np.array(list(itertools.product(*((0, n - 1) for n in shape))))


def axes_of(affine: np.ndarray) -> list[tuple[int, bool]]:
    """For each voxel axis the nearest world axis (0 R, 1 A, 2 S) and whether it grows with it.

    The assignment is the one-to-one match of nibabel's `io_orientation`, which MONAI uses too.
    """
    from nibabel.orientations import io_orientation

    return [(int(world), flip > 0) for world, flip in io_orientation(affine)]
