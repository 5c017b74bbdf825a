"""Hounsfield units of every structure, with and without contrast.

Means are textbook HU of non-contrast CT (the sources are those of `vista3d.phantom.tissue`).
"""

from __future__ import annotations

import functools

import numpy as np

from vista3d import anatomy

INTERIOR, SUBCUTANEOUS, SKIN, HEAD = 1001, 1002, 1003, 1004
"""Tissue codes above every class id, for voxels without a class: the body around the structures of
a label map, and the unlabelled part of a head."""

_SOFT = 50.0
# name or group -> (mean HU, spread of the mean between patients, texture within the structure).
# The structures of a group have nearly the same mean in a patient.
_TISSUES: dict[str, tuple[float, float, float]] = {
    "bone": (250, 70, 110),
    "vertebrae": (190, 60, 80),
    "ribs": (280, 80, 110),
    "skull": (650, 150, 200),
    "costal cartilages": (110, 30, 40),
    "lung": (-830, 45, 30),
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
    "spleen": (70, 62),
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
HOLLOW = ("stomach", "duodenum", "small bowel", "colon")


GAS = (-1010.0, -930.0)
"""HU in stomach and bowel on the scans of the corpus; 95% of their lung voxels are above -930."""


@functools.cache
def kin() -> np.ndarray:
    """Tissue code [1024] -> number of its group; codes without a group share one."""
    groups = np.zeros(1024, np.int64)
    for number, name in enumerate(_TISSUES, start=1):
        groups[list(expand(name))] = number
    groups[[INTERIOR, SUBCUTANEOUS, SKIN]] = len(_TISSUES) + np.arange(1, 4)
    return groups


@functools.cache
def expand(name: str) -> tuple[int, ...]:
    return anatomy.resolve([name])


@functools.cache
def base_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, spread, texture [1024] and enhancement [1024, 2] per tissue code."""
    mean = np.full(1024, _SOFT, np.float32)
    spread = np.full(1024, 10, np.float32)
    texture = np.full(1024, 15, np.float32)
    enhancement = np.zeros((1024, 2), np.float32)
    for name, (m, s, t) in _TISSUES.items():
        ids = list(expand(name))
        mean[ids], spread[ids], texture[ids] = m, s, t
    for name, (arterial, venous) in _ENHANCEMENT.items():
        enhancement[list(expand(name))] = arterial, venous
    for names, values in ((_ARTERIES, (260, 110)), (_VEINS, (40, 110)), (("heart",), (170, 90))):
        for name in names:
            ids = list(expand(name))
            mean[ids], enhancement[ids] = 42, values
    mean[[0, INTERIOR, SUBCUTANEOUS, SKIN]] = -1000, -100, -105, 20
    texture[[0, INTERIOR, SUBCUTANEOUS, SKIN]] = 4, 12, 10, 20
    spread[[0, INTERIOR, SUBCUTANEOUS, SKIN]] = 2, 8, 8, 15
    return mean, spread, texture, enhancement
