"""A synthetic torso CT with ground truth: demo input, test image and material for pre-training.

    volume, labels = make_phantom(7, spacing=(2.5, 2.5, 3.0), region="torso")

Anatomy is a set of implicit solids in millimetres (`shapes`, `combine`) placed after published
sizes and positions, varied by seed (`patient`), coloured with tables of HU (`tissue`), and sampled
with partial volume, noise and streaks (`render`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vista3d.errors import UsageError

if TYPE_CHECKING:
    from vista3d.phantom.render import Grid
    from vista3d.volume import Volume

REGIONS: dict[str, tuple[float, float]] = {
    "torso": (-300.0, 330.0),
    "chest": (-10.0, 310.0),
    "abdomen": (-300.0, 120.0),
    "head-neck": (190.0, 590.0),
}
"""Heights of the field of view in mm above vertebra L1, standard body."""

_WIDTH, _FRONT, _BACK = 215.0, 195.0, -150.0

__all__ = ["REGIONS", "make_phantom", "phantom_grid"]


def phantom_grid(
    seed: int,
    spacing: tuple[float, float, float] = (2.5, 2.5, 3.0),
    fov: str = "torso",
) -> Grid:
    """The image grid of a phantom: `fov` is a key of REGIONS.

    Raises:
        UsageError: unknown region, or a spacing outside 0.5-20 mm.
    """
    from vista3d.phantom.patient import draw_patient
    from vista3d.phantom.render import Grid

    if fov not in REGIONS:
        msg = f"unknown region {fov!r}: choose {', '.join(REGIONS)}"
        raise UsageError(msg)
    if len(spacing) != 3 or not all(0.5 <= s <= 20 for s in spacing):
        msg = f"phantom spacing {spacing} must be three numbers of 0.5 to 20 mm"
        raise UsageError(msg)
    scale = draw_patient(seed).scale
    low = (-_WIDTH * scale[0], _BACK * scale[1], REGIONS[fov][0] * scale[2])
    high = (_WIDTH * scale[0], _FRONT * scale[1], REGIONS[fov][1] * scale[2])
    shape = tuple(round((b - a) / s) + 1 for a, b, s in zip(low, high, spacing, strict=True))
    return Grid(low, (spacing[0], spacing[1], spacing[2]), (shape[0], shape[1], shape[2]))


def make_phantom(
    seed: int,
    spacing: tuple[float, float, float] = (2.5, 2.5, 3.0),
    fov: str = "torso",
) -> tuple[Volume, np.ndarray]:
    """Draw a synthetic CT.

    Args:
        seed: any non-negative integer; the same seed gives the same patient at any spacing.
        spacing: voxel size along x, y, z in mm (0.5-20).
        fov: "torso", "chest", "abdomen" or "head-neck".

    Returns:
        The CT (int16 HU, axes RAS+) and the labels: uint8 (i, j, k), global class ids, 0 elsewhere.

    Raises:
        UsageError: a seed, spacing or region that cannot be meant.
    """
    from vista3d.phantom.patient import draw_patient, posed
    from vista3d.phantom.render import make_scene, render
    from vista3d.volume import Volume

    if seed < 0:
        msg = f"phantom seed {seed} is negative: give 0 or more"
        raise UsageError(msg)
    grid = phantom_grid(seed, spacing, fov)
    hu, labels = render(make_scene(posed(draw_patient(seed), fov)), grid)
    return Volume.from_array(hu, grid.affine), labels
