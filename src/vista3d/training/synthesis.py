"""Label-conditioned CT intensities: anatomy in, a plausible CT out (paper section 3.4, stage 4).

Serves label maps that come without their CT, and perturbs the structures of real CTs so that a
network trained on few torsos meets many contrasts. Means are textbook HU of non-contrast CT; one
contrast phase is drawn per patch and shared by all vessels and parenchyma.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d import anatomy

INTERIOR, SUBCUTANEOUS, SKIN, HEAD = 1001, 1002, 1003, 1004
"""Tissue codes above every class id, for voxels without a class: the body around the structures of
a label map, and the unlabelled part of a head."""

_SOFT = 50.0
# name or group -> (mean HU, spread of the mean between patients, texture within the structure)
_TISSUES: dict[str, tuple[float, float, float]] = {
    "bone": (250, 70, 110),
    "vertebrae": (190, 60, 80),
    "ribs": (280, 80, 110),
    "skull": (650, 150, 200),
    "costal cartilages": (110, 30, 40),
    "lung": (-840, 50, 40),
    "trachea": (-1000, 10, 10),
    "airway": (-1000, 10, 10),
    "liver": (58, 10, 10),
    "spleen": (50, 7, 9),
    "pancreas": (38, 10, 16),
    "left kidney": (32, 6, 14),
    "right kidney": (32, 6, 14),
    "left adrenal gland": (30, 10, 15),
    "right adrenal gland": (30, 10, 15),
    "gallbladder": (12, 10, 8),
    "bladder": (6, 8, 6),
    "prostate": (40, 8, 10),
    "stomach": (25, 25, 25),
    "duodenum": (30, 20, 20),
    "small bowel": (25, 20, 28),
    "colon": (0, 60, 80),
    "esophagus": (35, 10, 18),
    "thyroid gland": (105, 25, 15),
    "brain": (34, 5, 8),
    "spinal cord": (35, 8, 10),
    "heart": (42, 8, 12),
}
# Enhancement added at full contrast, HU (arterial, portal venous).
_ENHANCEMENT: dict[str, tuple[float, float]] = {
    "liver": (15, 55),
    "spleen": (70, 75),
    "pancreas": (60, 50),
    "left kidney": (110, 150),
    "right kidney": (110, 150),
    "left adrenal gland": (40, 40),
    "right adrenal gland": (40, 40),
    "thyroid gland": (80, 50),
    "prostate": (20, 35),
}
_ARTERIES = (
    "aorta", "left iliac artery", "right iliac artery", "brachiocephalic trunk",
    "left common carotid artery", "right common carotid artery", "left subclavian artery",
    "right subclavian artery",
)  # fmt: skip
_VEINS = (
    "inferior vena cava", "portal vein and splenic vein", "left iliac vena", "right iliac vena",
    "left brachiocephalic vein", "right brachiocephalic vein", "superior vena cava",
    "pulmonary vein", "left atrial appendage",
)  # fmt: skip
_HOLLOW = ("stomach", "duodenum", "small bowel", "colon")


@functools.cache
def _expand(name: str) -> tuple[int, ...]:
    return anatomy.resolve([name])


@functools.cache
def _base_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, spread, texture [1024] and enhancement [1024, 2] per tissue code."""
    mean = np.full(1024, _SOFT, np.float32)
    spread = np.full(1024, 10, np.float32)
    texture = np.full(1024, 15, np.float32)
    enhancement = np.zeros((1024, 2), np.float32)
    for name, (m, s, t) in _TISSUES.items():
        ids = list(_expand(name))
        mean[ids], spread[ids], texture[ids] = m, s, t
    for name, (arterial, venous) in _ENHANCEMENT.items():
        enhancement[list(_expand(name))] = arterial, venous
    for names, values in ((_ARTERIES, (260, 110)), (_VEINS, (40, 110)), (("heart",), (170, 90))):
        for name in names:
            ids = list(_expand(name))
            mean[ids], enhancement[ids] = 42, values
    mean[[0, INTERIOR, SUBCUTANEOUS, SKIN]] = -1000, -100, -105, 20
    texture[[0, INTERIOR, SUBCUTANEOUS, SKIN]] = 4, 12, 10, 20
    spread[[0, INTERIOR, SUBCUTANEOUS, SKIN]] = 2, 8, 8, 15
    return mean, spread, texture, enhancement


def smooth_noise(shape: tuple[int, ...], scale: float, generator: torch.Generator) -> Tensor:
    """Unit-variance noise [H, W, D] whose grain is about `scale` voxels."""
    coarse = [max(2, int(np.ceil(size / scale)) + 1) for size in shape]
    noise = torch.randn(1, 1, *coarse, generator=generator)
    noise = F.interpolate(noise, size=shape, mode="trilinear", align_corners=True)[0, 0]
    return (noise - noise.mean()) / noise.std().clamp_min(1e-3)


def add_body(labels: np.ndarray, spacing: float) -> np.ndarray:
    """Fill the space around labelled structures of a label map with tissue codes.

    Args:
        labels: (i, j, k) global ids on an isotropic grid.
        spacing: voxel size in mm.

    Returns:
        The same labels (int16) with INTERIOR inside the closed hull of the structures,
        a 15 mm shell of SUBCUTANEOUS around it and one voxel of SKIN.
    """
    from scipy import ndimage

    reach = 30.0  # mm; closes the abdominal cavity between spine, ribs and muscles
    outside = ndimage.distance_transform_edt(labels == 0) * spacing
    hull = ndimage.distance_transform_edt(outside <= reach) * spacing > reach
    for k in range(hull.shape[2]):
        hull[:, :, k] = ndimage.binary_fill_holes(hull[:, :, k])
    to_hull = ndimage.distance_transform_edt(~hull) * spacing
    out = labels.astype(np.int16)
    empty = labels == 0
    out[empty & (to_hull <= 15 + spacing)] = SKIN
    out[empty & (to_hull <= 15)] = SUBCUTANEOUS
    out[empty & hull] = INTERIOR
    return out


def synthesise(tissue: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw a CT for tissue codes.

    Args:
        tissue: [H, W, D] int64; class ids, 0 = air, and the body codes of this module.
        rng: source of every random choice.

    Returns:
        float32 HU of the same shape.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    shape = tuple(tissue.shape)
    mean, spread, texture, enhancement = _base_tables()
    arterial, venous = _phase(rng)
    mean = mean + spread * rng.standard_normal(1024).astype(np.float32)
    mean = mean + enhancement @ np.array([arterial, venous], np.float32)
    hu = torch.from_numpy(mean)[tissue]
    # Interior: fat with islands of unlabelled muscle and vessels.
    grain = smooth_noise(shape, rng.uniform(3, 8), generator)
    muscle = torch.sigmoid(8 * (grain - float(rng.uniform(-0.3, 1.2))))
    hu = torch.where(tissue == INTERIOR, hu + muscle * float(rng.uniform(110, 170)), hu)
    hu = _fill_hollow(hu, tissue, rng, generator)
    hu = _lung_vessels(hu, tissue, rng, generator)
    hu = _cortex(hu, tissue, rng)
    grain = smooth_noise(shape, rng.uniform(1.2, 2.5), generator)
    return hu + torch.from_numpy(texture)[tissue] * grain


def perturb_structures(hu: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift every labelled structure of a real CT by its own random offset (sigma 20 HU)."""
    offset = (20 * rng.standard_normal(1024)).astype(np.float32)
    offset[0] = 0
    offset[list(_expand("lung")) + list(_expand("trachea"))] *= 0.5
    return hu + torch.from_numpy(offset)[labels]


def _phase(rng: np.random.Generator) -> tuple[float, float]:
    """Strength of (arterial, portal venous) enhancement; a third of the scans have none."""
    kind = rng.integers(3)
    strength = float(rng.uniform(0.4, 1.3))
    return {0: (0.0, 0.0), 1: (strength, 0.2 * strength), 2: (0.15 * strength, strength)}[int(kind)]


def _members(tissue: Tensor, names: tuple[str, ...]) -> Tensor:
    table = torch.zeros(1024, dtype=torch.bool)
    for name in names:
        table[list(_expand(name))] = True
    return table[tissue]


def _fill_hollow(
    hu: Tensor, tissue: Tensor, rng: np.random.Generator, generator: torch.Generator
) -> Tensor:
    """Gas and contrast pockets in stomach and bowel."""
    inside = _members(tissue, _HOLLOW)
    if not bool(inside.any()):
        return hu
    grain = smooth_noise(tuple(tissue.shape), rng.uniform(3, 6), generator)
    hu = torch.where(inside & (grain > rng.uniform(0.3, 2.0)), -850.0, hu)
    if rng.random() < 0.3:
        hu = torch.where(
            inside & (grain < -rng.uniform(0.2, 1.5)), float(rng.uniform(150, 400)), hu
        )
    return hu


def _lung_vessels(
    hu: Tensor, tissue: Tensor, rng: np.random.Generator, generator: torch.Generator
) -> Tensor:
    """Bright branching specks in the lungs."""
    inside = _members(tissue, ("lung",))
    if not bool(inside.any()):
        return hu
    grain = smooth_noise(tuple(tissue.shape), rng.uniform(1.5, 3), generator)
    vessels = ((grain - 1.2).clamp(0, 1.5) / 1.5) * float(rng.uniform(300, 900))
    return torch.where(inside, hu + vessels, hu)


def _cortex(hu: Tensor, tissue: Tensor, rng: np.random.Generator) -> Tensor:
    """Dense outer shell of bones."""
    bone = _members(tissue, ("bone",)).float()[None, None]
    inner = F.avg_pool3d(bone, 3, stride=1, padding=1, count_include_pad=False)
    shell = bone * (1 - inner) * 2
    return hu + float(rng.uniform(50, 350)) * shell[0, 0]
