"""A click: where, and whether it says "this" or "not this"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vista3d.errors import UsageError
from vista3d.volume import Geometry

Space = Literal["voxel", "ras", "lps"]
"""voxel: index (i, j, k) of the original scan; ras, lps: world millimetres (NIfTI; DICOM, ITK)."""


@dataclass(frozen=True)
class Click:
    """A click prompt.

    Attributes:
        position: voxel (i, j, k) of the original scan, fractions allowed.
        positive: True for "this is part of the object".
    """

    position: tuple[float, float, float]
    positive: bool

    @classmethod
    def at(
        cls, position: Sequence[float], positive: bool, space: Space, geometry: Geometry
    ) -> Click:
        """A click in a named coordinate convention.

        Args:
            position: three numbers in that convention.
            positive: what it says.
            space: "voxel", "ras" or "lps".
            geometry: of the original scan.

        Raises:
            UsageError: not three finite numbers, an unknown convention, or outside the scan. The
                outermost voxels count with their whole width.
        """
        if space not in get_args(Space):
            msg = f"unknown coordinate convention {space!r}: one of {', '.join(get_args(Space))}"
            raise UsageError(msg)
        values = np.asarray(position, np.float64)
        if values.shape != (3,) or not np.isfinite(values).all():
            msg = f"a click needs three finite numbers, not {position!r}"
            raise UsageError(msg)
        if space == "lps":
            values = values * (-1, -1, 1)
        voxel = values if space == "voxel" else geometry.to_voxel(values[None])[0]
        limit = np.array(geometry.shape) - 0.5
        if (voxel < -0.5).any() or (voxel > limit).any():
            msg = (
                f"the click {tuple(np.round(values, 2).tolist())} ({space}) is outside the scan: "
                f"it is voxel {tuple(np.round(voxel, 1).tolist())}, and the scan has "
                f"{geometry.shape}"
            )
            raise UsageError(msg)
        i, j, k = np.clip(voxel, 0, np.array(geometry.shape) - 1).tolist()
        return cls((i, j, k), bool(positive))

    @property
    def voxel(self) -> tuple[int, int, int]:
        """The voxel of the scan that was hit."""
        i, j, k = (int(np.floor(x + 0.5)) for x in self.position)
        return i, j, k
