"""Label-conditioned CT intensities: anatomy in, a plausible CT out (paper section 3.4, stage 4).

Serves label maps that come without their CT, and perturbs the structures of real CTs so that a
network trained on few torsos meets many contrasts. One contrast phase is drawn per patch and shared
by all vessels and parenchyma.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vista3d.training.synthetic.noise import smooth_noise
from vista3d.training.synthetic.tissues import GAS, HOLLOW, INTERIOR, base_tables, expand, kin

Array = NDArray[np.float32]

_OWN = 0.3
"""Share of the spread between patients that a structure does not have in common with its group:
lobes of one density must be told apart by their place, as on scans."""

_UPTAKE = 0.25
"""Spread of what a structure takes up of a phase's contrast: livers and spleens differ in blood
flow, so that either may be the brighter one (115 and 107 HU in `crlm_1004`)."""


def synthesise(tissue: Tensor, rng: np.random.Generator, spacing: float) -> Tensor:
    """Draw a CT for tissue codes.

    Args:
        tissue: [H, W, D] int64; class ids, 0 = air, and the body codes of `tissues`.
        rng: source of every random choice.
        spacing: isotropic voxel size in mm; pockets, vessels and muscles keep their size in mm.

    Returns:
        float32 HU of the same shape.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    zoom = 4.0 / spacing  # grains are given in voxels of 4 mm
    shape = tuple(tissue.shape)
    mean, spread, texture, enhancement = base_tables()
    arterial, venous = _phase(rng)
    mean = mean + spread * _deviations(rng)
    uptake = 1 + _UPTAKE * _deviations(rng)
    mean = mean + uptake * (enhancement @ np.array([arterial, venous], np.float32))
    hu = torch.from_numpy(mean)[tissue]
    # Interior: fat with islands of unlabelled muscle and vessels.
    grain = smooth_noise(shape, zoom * rng.uniform(3, 8), generator)
    muscle = torch.sigmoid(8 * (grain - float(rng.uniform(-0.3, 1.2))))
    hu = torch.where(tissue == INTERIOR, hu + muscle * float(rng.uniform(110, 170)), hu)
    hu = _fill_hollow(hu, tissue, rng, generator, zoom)
    hu = _lung_vessels(hu, tissue, rng, generator, zoom)
    hu = aerate(hu, tissue, rng, spacing)
    hu = _cortex(hu, tissue, rng)
    # As fine as the grid can show: noise and trabeculae have no size of their own here.
    grain = smooth_noise(shape, rng.uniform(1.2, 2.5), generator)
    rough = torch.where(hu < -900, 10.0, torch.from_numpy(texture)[tissue])  # gas is all alike
    return hu + rough * grain


def perturb_structures(hu: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift every labelled structure of a real CT by a random offset (sigma 20 HU)."""
    offset = 20 * _deviations(rng)
    offset[0] = 0
    offset[list(expand("lung")) + list(expand("trachea"))] *= 0.5
    return hu + torch.from_numpy(offset)[labels]


def aerate(hu: Tensor, tissue: Tensor, rng: np.random.Generator, spacing: float) -> Tensor:
    """Lungs whose air content differs from place to place.

    A smooth field over 25 to 80 mm makes parts denser (dependent, badly ventilated) or thinner
    (emphysema); vessels and what is solid keep their density.
    """
    inside = _members(tissue, ("lung",)) & (hu < -600)
    if not bool(inside.any()):
        return hu
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    field = smooth_noise(tuple(tissue.shape), float(rng.uniform(25, 80)) / spacing, generator)
    # Of -830 HU, 70 more and less are 0.17 more and less air; the thinnest lung is nearly all air.
    moved = (hu + float(rng.uniform(10, 70)) * field).clamp_min(-985)
    return torch.where(inside, moved, hu)


def _deviations(rng: np.random.Generator) -> Array:
    """Standard normal values [1024], nearly the same for all codes of a group."""
    own, shared = rng.standard_normal((2, 1024)).astype(np.float32)
    return np.asarray(np.sqrt(1 - _OWN**2) * shared[kin()] + _OWN * own, np.float32)


def _phase(rng: np.random.Generator) -> tuple[float, float]:
    """Strength of (arterial, portal venous) enhancement; a third of the scans have none."""
    kind = rng.integers(3)
    strength = float(rng.uniform(0.4, 1.3))
    return {0: (0.0, 0.0), 1: (strength, 0.2 * strength), 2: (0.15 * strength, strength)}[int(kind)]


def _members(tissue: Tensor, names: tuple[str, ...]) -> Tensor:
    table = torch.zeros(1024, dtype=torch.bool)
    for name in names:
        table[list(expand(name))] = True
    return table[tissue]


def _fill_hollow(
    hu: Tensor,
    tissue: Tensor,
    rng: np.random.Generator,
    generator: torch.Generator,
    zoom: float,
) -> Tensor:
    """Gas and contrast pockets in stomach and bowel."""
    inside = _members(tissue, HOLLOW)
    if not bool(inside.any()):
        return hu
    grain = smooth_noise(tuple(tissue.shape), zoom * rng.uniform(3, 6), generator)
    hu = torch.where(inside & (grain > rng.uniform(0.3, 2.0)), float(rng.uniform(*GAS)), hu)
    if rng.random() < 0.3:
        hu = torch.where(
            inside & (grain < -rng.uniform(0.2, 1.5)), float(rng.uniform(150, 400)), hu
        )
    return hu


def _lung_vessels(
    hu: Tensor,
    tissue: Tensor,
    rng: np.random.Generator,
    generator: torch.Generator,
    zoom: float,
) -> Tensor:
    """Bright branching specks in the lungs."""
    inside = _members(tissue, ("lung",))
    if not bool(inside.any()):
        return hu
    grain = smooth_noise(tuple(tissue.shape), zoom * rng.uniform(1.5, 3), generator)
    vessels = ((grain - 1.2).clamp(0, 1.5) / 1.5) * float(rng.uniform(300, 900))
    return torch.where(inside, hu + vessels, hu)


def _cortex(hu: Tensor, tissue: Tensor, rng: np.random.Generator) -> Tensor:
    """Dense outer shell of bones."""
    bone = _members(tissue, ("bone",)).float()[None, None]
    inner = F.avg_pool3d(bone, 3, stride=1, padding=1, count_include_pad=False)
    shell = bone * (1 - inner) * 2
    return hu + float(rng.uniform(50, 350)) * shell[0, 0]


def draw_scan(tissue: NDArray[np.integer], rng: np.random.Generator, spacing: float) -> Array:
    """A whole CT for tissue codes, as a scanner would show it.

    Args:
        tissue: (i, j, k) codes, such as `body.add_body` makes them.
        rng: source of every random choice.
        spacing: isotropic voxel size in mm.

    Returns:
        (i, j, k) float32 HU: `synthesise`, blurred as a soft kernel does (1.2 mm), with noise of
        6 to 16 HU whose grain is that of the blur.
    """
    from scipy import ndimage

    hu = synthesise(torch.from_numpy(np.asarray(tissue, np.int64)), rng, spacing).numpy()
    sigma = 1.2 / spacing
    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32), 0.6 * sigma)
    noise *= rng.uniform(6, 16) / max(float(noise.std()), 1e-6)
    return np.asarray(ndimage.gaussian_filter(hu, sigma) + noise, np.float32)
