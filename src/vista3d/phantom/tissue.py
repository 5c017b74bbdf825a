"""Hounsfield units of tissues, without contrast and in two contrast phases.

Sources: HU of unenhanced tissues from textbook tables (e.g. Hofer, CT Teaching Manual; Lamba et
al., AJR 2014;203:W406, CT numbers of abdominal organs: liver 55-60, spleen 45-50, pancreas 40,
kidney 30, muscle 55, fat -100, bile and urine 0-20, blood 40); trabecular bone of lumbar vertebrae
100-230 falling with age (Pickhardt et al., Ann Intern Med 2013;158:588); inspired lung -850;
enhancement from Bae, Radiology 2010;256:32 (arterial aorta about 300, portal venous aorta 150,
liver +50, renal cortex above 150).
"""

from __future__ import annotations

from typing import Literal

Phase = Literal["native", "arterial", "portal venous"]
PHASES: tuple[Phase, ...] = ("native", "arterial", "portal venous")

AIR = -1000.0

# tissue: (native HU, spread between patients, arterial gain, portal venous gain)
_TABLE: dict[str, tuple[float, float, float, float]] = {
    "skin": (10, 10, 5, 10),
    "fat": (-104, 5, 0, 0),
    "visceral fat": (-102, 6, 0, 3),
    "muscle": (52, 6, 4, 10),
    "lung": (-855, 25, 5, 5),
    "lung vessel": (45, 5, 230, 110),
    "airway": (-985, 8, 0, 0),
    "airway wall": (-20, 40, 10, 10),
    "cortex": (850, 90, 0, 0),
    "rib": (520, 60, 0, 0),
    "spongiosa": (185, 40, 0, 0),
    "thin spongiosa": (140, 40, 0, 0),
    "cartilage": (95, 12, 0, 0),
    "disc": (85, 10, 3, 6),
    "cord": (38, 4, 3, 6),
    "thecal fluid": (14, 5, 0, 2),
    "liver": (57, 7, 15, 52),
    "liver vessel": (42, 4, 25, 115),
    "spleen": (48, 4, 75, 72),
    "pancreas": (38, 7, 62, 52),
    "kidney cortex": (33, 4, 150, 150),
    "kidney medulla": (30, 4, 45, 130),
    "kidney sinus": (-60, 25, 10, 15),
    "adrenal": (25, 10, 40, 45),
    "gallbladder": (9, 6, 0, 0),
    "urine": (6, 5, 0, 2),
    "bladder wall": (35, 6, 10, 25),
    "prostate": (40, 5, 25, 35),
    "uterus": (45, 5, 30, 55),
    "gut wall": (40, 6, 30, 40),
    "gut fluid": (15, 10, 0, 0),
    "food": (25, 25, 0, 0),
    "stool": (20, 30, 0, 0),
    "gas": (-960, 20, 0, 0),
    "esophagus": (38, 5, 20, 30),
    "thyroid": (108, 14, 70, 55),
    "blood": (42, 4, 0, 0),
    "aorta": (42, 3, 275, 110),
    "artery": (42, 3, 265, 105),
    "heart chamber": (42, 3, 240, 100),
    "right chamber": (42, 3, 190, 98),
    "myocardium": (45, 4, 60, 65),
    "pulmonary artery": (42, 3, 230, 105),
    "pulmonary vein": (42, 3, 255, 105),
    "superior vena cava": (42, 3, 240, 105),
    "inferior vena cava": (40, 3, 25, 95),
    "iliac vein": (40, 3, 8, 75),
    "portal vein": (42, 3, 35, 130),
    "breast gland": (30, 12, 5, 15),
    "lymph": (35, 5, 10, 25),
    "table": (-120, 120, 0, 0),
    "table core": (-930, 15, 0, 0),
}

BONE = frozenset({"cortex", "rib", "spongiosa", "thin spongiosa"})


def mean(name: str, phase: Phase, strength: float, spread: float) -> float:
    """Mean HU of a tissue.

    Args:
        name: key of the table.
        phase: contrast phase.
        strength: enhancement relative to the table.
        spread: this patient's deviation in standard deviations.
    """
    native, deviation, arterial, venous = _TABLE[name]
    gain = {"native": 0.0, "arterial": arterial, "portal venous": venous}[phase]
    return native + deviation * spread + gain * strength
