"""Where solids are painted: patient coordinates, HU and labels on one slab of the image grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vista3d.phantom.shapes import Array, Shape, axis_ranges, window

Paint = float | Callable[[Array, Array, Array, Array], Array]
"""HU, or a function (distance, x, y, z) -> HU for textured tissue."""


@dataclass
class Canvas:
    """A slab of the image.

    Attributes:
        x, y, z: patient coordinates in mm of every voxel, (i, j, k) float32.
        hu, labels: float32 HU and uint8 global class ids of the same shape.
        soft: width in mm of the partial-volume ramp across a surface, one voxel.
    """

    x: Array
    y: Array
    z: Array
    hu: Array
    labels: Array
    soft: float
    ranges: list[tuple[Array, Array]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.ranges = axis_ranges(self.x, self.y, self.z)

    def paint(
        self, shape: Shape, hu: Paint | None, label: int | None = None, *, opacity: float = 1.0
    ) -> None:
        """Cover a solid with a tissue.

        Args:
            shape: the solid.
            hu: what to paint; None labels without painting.
            label: id written where the voxel centre is inside; None keeps the labels below.
            opacity: 1 covers, less lets the tissue below shine through.
        """
        margin = self.soft
        part = window(self.ranges, np.asarray(shape.low) - margin, np.asarray(shape.high) + margin)
        if part is None:
            return
        x, y, z = self.x[part], self.y[part], self.z[part]
        distance = shape.distance(x, y, z)
        if hu is not None:
            cover = np.clip(np.float32(0.5) - distance / np.float32(self.soft), 0, opacity)
            value = hu(distance, x, y, z) if callable(hu) else np.float32(hu)
            canvas = self.hu[part]
            canvas += cover * (value - canvas)
        if label is not None:
            self.labels[part][distance < 0] = label


def shelled(shell: float, core: float, thickness: float, soft: float = 1.5) -> Paint:
    """Paint with a dense rind, as cortical over spongy bone.

    Args:
        shell, core: HU.
        thickness: of the rind, mm.
        soft: width of the transition, mm.
    """

    def paint(distance: Array, x: Array, y: Array, z: Array) -> Array:
        rind = np.clip(np.float32(0.5) + (distance + thickness) / np.float32(soft), 0, 1)
        return np.asarray(np.float32(core) + rind * np.float32(shell - core))

    return paint
