"""From a patient to an image: grid, deformation, painting slab by slab, partial volume, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vista3d.errors import UsageError
from vista3d.phantom import texture
from vista3d.phantom.abdomen import organ_shapes, paint_kidneys, paint_pelvis, paint_solid
from vista3d.phantom.bowel import paint_bowel
from vista3d.phantom.canvas import Canvas
from vista3d.phantom.chest import (
    heart_parts,
    lung_field,
    paint_airways,
    paint_heart,
    paint_lungs,
    paint_neck,
)
from vista3d.phantom.head import paint_head
from vista3d.phantom.limbs import paint_limb_bones, paint_limb_muscles
from vista3d.phantom.patient import Patient
from vista3d.phantom.ribcage import paint_ribcage
from vista3d.phantom.shapes import Array, Shape
from vista3d.phantom.spine import paint_autochthon, paint_spine
from vista3d.phantom.tissue import AIR
from vista3d.phantom.trunk import cavity, diaphragm, paint_trunk
from vista3d.phantom.vessels import lung_trees, paint_tree, paint_vessels

SLAB_VOXELS = 3_000_000  # per slab: 100 MB of work arrays


@dataclass(frozen=True)
class Grid:
    """Axis-aligned image grid in RAS+ world coordinates.

    Attributes:
        origin: centre of voxel (0, 0, 0), mm.
        spacing: mm.
        shape: voxels along x, y, z.
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]

    @property
    def affine(self) -> Array:
        """4x4 voxel -> world matrix."""
        matrix = np.diag([*self.spacing, 1.0])
        matrix[:3, 3] = self.origin
        return matrix


@dataclass(frozen=True)
class Scene:
    """Everything of a patient that does not depend on the slab."""

    patient: Patient
    inner: Shape
    below: Shape
    heart: dict[str, Shape]
    lung: Shape
    organs: dict[str, Shape]
    noise: texture.Grain
    knots: Array
    """Displacements [3, a, b, c] in mm of the body deformation on a 90 mm lattice."""


_LATTICE = 90.0  # mm between knots of the deformation
_LATTICE_ORIGIN = (-360.0, -270.0, -450.0)
_LATTICE_SHAPE = (9, 8, 13)


def make_scene(patient: Patient) -> Scene:
    """Build the solids of a patient."""
    inner = cavity()
    below = diaphragm(patient, inner)
    heart = heart_parts(patient)
    lung = lung_field(patient, inner, below, heart["muscle"])
    organs = organ_shapes(patient, inner, below)
    noise = texture.grain(patient.stream("grain"))
    rng = patient.stream("deformation")
    knots = rng.standard_normal((3, *_LATTICE_SHAPE)) * (patient.wobble / 1.5)
    # The knees of the lattice sway together sideways: a slight scoliosis.
    sway = rng.standard_normal(_LATTICE_SHAPE[2]) * patient.wobble
    knots[0] += sway
    return Scene(patient, inner, below, heart, lung, organs, noise, knots.astype(np.float32))


def coordinates(scene: Scene, grid: Grid, start: int, stop: int) -> tuple[Array, Array, Array]:
    """Patient coordinates x, y, z (mm, float32) of slices start..stop, deformation included."""
    axes = [grid.origin[a] + grid.spacing[a] * np.arange(grid.shape[a]) for a in range(2)]
    axes.append(grid.origin[2] + grid.spacing[2] * np.arange(start, stop))
    standard = [axis / s for axis, s in zip(axes, scene.patient.scale, strict=True)]
    basis = [
        _spline_basis(axis, origin, count)
        for axis, origin, count in zip(standard, _LATTICE_ORIGIN, _LATTICE_SHAPE, strict=True)
    ]
    out = []
    for a in range(3):
        moved = np.einsum("abc,ia,jb,kc->ijk", scene.knots[a], *basis, optimize=True)
        along = [1, 1, 1]
        along[a] = -1
        out.append(moved + standard[a].reshape(along).astype(np.float32))
    return out[0], out[1], out[2]


def _spline_basis(axis: Array, origin: float, count: int) -> Array:
    """Uniform cubic B-spline weights [len(axis), count]."""
    at = np.abs((axis - origin)[:, None] / _LATTICE - np.arange(count)[None])
    near = 2 / 3 - at**2 + at**3 / 2
    return np.where(at < 1, near, np.where(at < 2, (2 - at) ** 3 / 6, 0)).astype(np.float32)


def paint_scene(canvas: Canvas, scene: Scene) -> None:
    """Paint the whole body; what comes later covers what came before."""
    patient, noise = scene.patient, scene.noise
    paint_trunk(canvas, patient, scene.inner, noise)
    paint_limb_muscles(canvas, patient)
    paint_autochthon(canvas, patient, *autochthon_ids())
    paint_lungs(canvas, patient, scene.lung, noise)
    paint_tree(canvas, lung_trees(patient, scene.lung), patient.hu("lung vessel"))
    paint_bowel(canvas, patient, scene.organs, noise)
    paint_kidneys(canvas, patient)
    paint_ribcage(canvas, patient)
    paint_limb_bones(canvas, patient)
    paint_neck(canvas, patient)
    paint_heart(canvas, patient, scene.heart)
    paint_vessels(canvas, patient, portal=False)
    paint_solid(canvas, patient, scene.organs, noise)
    paint_vessels(canvas, patient, portal=True)
    paint_airways(canvas, patient)
    paint_spine(canvas, patient)
    paint_pelvis(canvas, patient)
    paint_head(canvas, patient, noise)


def autochthon_ids() -> tuple[int, int]:
    """Ids of the left and right paraspinal muscles."""
    from vista3d.phantom.ids import number

    return number("left autochthon"), number("right autochthon")


def fine(grid: Grid) -> tuple[Grid, tuple[int, int, int]]:
    """Grid for thick slices: an odd number of its voxels make one of `grid`.

    An isotropic grid stays as it is: the soft edges of the solids are its partial volume.
    """
    limit = max(3.2, 1.5 * sorted(grid.spacing)[1])
    factors = [1, 1, 1]
    for a, size in enumerate(grid.spacing):
        while size / factors[a] > limit:
            factors[a] += 2
    spacing = tuple(s / f for s, f in zip(grid.spacing, factors, strict=True))
    origin = tuple(
        o - s * (f - 1) / 2 for o, s, f in zip(grid.origin, spacing, factors, strict=True)
    )
    shape = tuple(n * f for n, f in zip(grid.shape, factors, strict=True))
    return Grid(origin, spacing, shape), (factors[0], factors[1], factors[2])  # type: ignore[arg-type]


def render(scene: Scene, grid: Grid) -> tuple[Array, Array]:
    """HU (int16) and labels (uint8), both (i, j, k)."""
    if min(grid.shape) < 1 or min(grid.spacing) <= 0:
        msg = f"a phantom grid of {grid.shape} voxels of {grid.spacing} mm is empty"
        raise UsageError(msg)
    detailed, factors = fine(grid)
    plane = detailed.shape[0] * detailed.shape[1] * factors[2]
    thick = max(1, SLAB_VOXELS // plane)
    hu = np.empty(grid.shape, np.float32)
    labels = np.empty(grid.shape, np.uint8)
    for start in range(0, grid.shape[2], thick):
        stop = min(start + thick, grid.shape[2])
        x, y, z = coordinates(scene, detailed, start * factors[2], stop * factors[2])
        canvas = Canvas(
            x, y, z, np.full(x.shape, AIR, np.float32), np.zeros(x.shape, np.uint8),
            soft=float(np.mean(detailed.spacing)),
        )  # fmt: skip
        paint_scene(canvas, scene)
        hu[:, :, start:stop], labels[:, :, start:stop] = _reduce(canvas, factors)
    _degrade(hu, grid, scene.patient)
    np.clip(hu, -1024, 3071, out=hu)
    return np.rint(hu).astype(np.int16), labels


def _reduce(canvas: Canvas, factors: tuple[int, int, int]) -> tuple[Array, Array]:
    """Average HU over sub-voxels; the label of a voxel is the one at its centre."""
    a, b, c = factors
    if factors == (1, 1, 1):
        return canvas.hu, canvas.labels
    n, m, p = canvas.hu.shape
    mean = canvas.hu.reshape(n // a, a, m // b, b, p // c, c).mean((1, 3, 5))
    return mean, canvas.labels[a // 2 :: a, b // 2 :: b, c // 2 :: c]


def _degrade(hu: Array, grid: Grid, patient: Patient) -> None:
    """Add noise that grows with the attenuation of the slice, and streaks beside much bone."""
    rng = patient.stream("noise")
    body = (hu > -500).mean((0, 1)) * grid.shape[0] * grid.shape[1]
    area = body * grid.spacing[0] * grid.spacing[1] / 70_000  # 700 cm2: an average belly
    level = patient.noise * np.clip(area, 0.35, 1.8)
    # Thicker slices collect more photons.
    level = level * np.sqrt(3.0 / max(grid.spacing[2], 1.0))
    dense = (hu > 450).sum(0) * grid.spacing[0]
    lines = texture.streaks(dense.astype(np.float32), rng, 18.0)
    hu += texture.scanner_noise(grid.shape, grid.spacing, level, rng)
    hu += lines[None]
