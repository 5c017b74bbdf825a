"""One patient: body size, fat, sex, contrast phase and organ variation, all from one seed.

Every structure draws from its own random stream, named after the structure, so that adding a
structure changes no other.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from vista3d.phantom import tissue
from vista3d.phantom.combine import moved
from vista3d.phantom.shapes import Shape


@dataclass(frozen=True)
class Patient:
    """Random traits of a phantom.

    Attributes:
        seed: of every stream.
        scale: stretch of the standard body along x, y, z.
        fat: subcutaneous fat at the belly, mm (6 slim .. 38 obese).
        male: sex; decides prostate and breasts.
        phase: contrast phase of the scan.
        strength: enhancement relative to the table.
        bone: bone density relative to the table (falls with age).
        arms_up: arms raised above the head, as in most torso scans.
        noise: standard deviation of the noise in the middle of the belly, HU.
        wobble: largest usual displacement of the smooth body deformation, mm.
    """

    seed: int
    scale: tuple[float, float, float]
    fat: float
    male: bool
    phase: tissue.Phase
    strength: float
    bone: float
    arms_up: bool
    noise: float
    wobble: float

    def stream(self, name: str) -> np.random.Generator:
        """The random stream of one structure."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def vary(self, shape: Shape, name: str, shift: float = 3.0, scale: float = 0.05) -> Shape:
        """`shape` shifted (sigma `shift` mm per axis) and scaled (sigma `scale`)."""
        rng = self.stream(f"vary {name}")
        offset = np.clip(rng.standard_normal(3), -2, 2) * shift
        return moved(shape, offset, 1 + float(np.clip(rng.standard_normal(), -2, 2)) * scale)

    def hu(self, name: str) -> float:
        """Mean HU of a tissue in this patient and contrast phase."""
        spread = float(self.stream(f"hu {name}").standard_normal())
        value = tissue.mean(name, self.phase, self.strength, float(np.clip(spread, -2, 2)))
        return value * self.bone if name in tissue.BONE else value


def draw_patient(seed: int) -> Patient:
    """The patient of a seed. Sizes scatter by about 5 % (adult statures, ICRP 89 table 2.9)."""
    rng = np.random.default_rng([seed, 0])
    stature = rng.normal(1, 0.04)
    girth = rng.normal(1, 0.05)
    male = bool(rng.random() < 0.6)
    size = 1.0 if male else 0.95
    scale = np.clip([size * girth, size * girth * rng.normal(1, 0.04), size * stature], 0.84, 1.16)
    return Patient(
        seed=seed,
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        fat=float(np.clip(rng.lognormal(np.log(15), 0.45), 5, 38)),
        male=male,
        phase=tissue.PHASES[int(rng.choice(len(tissue.PHASES), p=(0.35, 0.25, 0.4)))],
        strength=float(rng.uniform(0.7, 1.25)),
        bone=float(rng.uniform(0.75, 1.2)),
        arms_up=bool(rng.random() < 0.8),
        noise=float(rng.uniform(7, 22)),
        wobble=float(rng.uniform(1.5, 5)),
    )


def posed(patient: Patient, region: str) -> Patient:
    """The patient as positioned for a scan: arms down for the head and neck."""
    return replace(patient, arms_up=False) if region == "head-neck" else patient
