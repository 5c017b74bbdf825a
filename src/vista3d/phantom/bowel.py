"""Stomach, duodenum, small bowel and colon with gas, fluid and stool.

ICRP 89: wall masses stomach 150 g, small bowel 650 g, colon 370 g, contents 250, 350 and 375 g;
colon 4-6 cm wide on the right, 3 cm on the left, small bowel about 2.5 cm.
"""

from __future__ import annotations

import numpy as np

from vista3d.phantom.canvas import Canvas, Paint
from vista3d.phantom.combine import grow, intersection, smooth_path, smooth_tube, spread
from vista3d.phantom.ids import number
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Array, Point, Shape, tube
from vista3d.phantom.texture import Grain

_COLON: tuple[Point, ...] = (
    (80, 72, -168), (90, 58, -140), (100, 38, -100), (102, 32, -66), (94, 58, -46), (74, 96, -48),
    (40, 116, -62), (0, 122, -70), (-44, 118, -52), (-80, 96, -18), (-104, 62, 8), (-108, 28, -6),
    (-110, 14, -50), (-108, 16, -100), (-102, 34, -140), (-88, 56, -170), (-60, 58, -186),
    (-28, 46, -180), (0, 52, -196), (18, 40, -212), (12, 8, -214), (2, -14, -228), (0, -22, -252),
    (0, -6, -284), (0, -8, -310),
)  # fmt: skip
_COLON_RADII = (
    26, 27, 25, 24, 23, 21, 20, 20, 19, 19, 19, 17, 15, 14, 14, 14, 14, 14, 14, 15, 16, 18, 18, 13,
    8,
)  # fmt: skip


def stomach() -> Shape:
    """From the dome of the fundus down and across to the pylorus."""
    return smooth_tube(
        [(-58, 38, 66), (-56, 58, 48), (-58, 84, 22), (-52, 100, -4), (-32, 106, -18),
         (-8, 104, -16), (18, 96, -8), (34, 88, -4)],
        [26, 28, 25, 21, 19, 16, 12, 8], step=6,
    )  # fmt: skip


def duodenum() -> Shape:
    """C-shaped loop around the pancreatic head."""
    return smooth_tube(
        [(32, 88, -4), (50, 80, -4), (56, 66, -24), (54, 60, -54), (38, 62, -72), (6, 76, -74),
         (-22, 76, -62), (-32, 80, -42)],
        [10, 12.5, 13, 13, 12.5, 10.5, 11, 11],
    )  # fmt: skip


def colon(patient: Patient) -> Shape:
    """Caecum to rectum, with haustra on the way to the sigmoid."""
    rng = patient.stream("colon")
    points = np.asarray(_COLON, float)
    points[1:-5] += np.clip(rng.standard_normal((len(points) - 6, 3)), -1.6, 1.6) * (5, 4, 6)
    path = smooth_path([(p[0], p[1], p[2]) for p in points], 6)
    width = np.interp(
        np.linspace(0, 1, len(path)), np.linspace(0, 1, len(_COLON_RADII)), _COLON_RADII
    )
    along = np.arange(len(path)) * 6.0
    haustra = 1 + 0.13 * np.sin(along * (2 * np.pi / 30)) * (np.linspace(0, 1, len(path)) < 0.8)
    return tube(path, list(width * haustra * float(rng.uniform(0.85, 1.1))), reach=8)


def jejunum(patient: Patient) -> list[Shape]:
    """Small bowel: loops from the left upper to the right lower belly, in pieces."""
    rng = patient.stream("small bowel")
    points: list[Point] = [(-34, 80, -44)]
    turns = 0
    for z in np.linspace(-52, -212, 7):
        reach = 76 if z > -150 else 52
        for layer in (114.0, 88.0, 64.0):
            turns += 1
            xs = np.linspace(-reach, reach * 0.9, 5)
            for x in xs if turns % 2 else xs[::-1]:
                # Loops lie in an arch over the spine and the great vessels.
                y = min(layer - 0.003 * x * x, 122 - 0.35 * max(-150 - z, 0))
                shift = np.clip(rng.normal(0, (8, 8, 12)), -16, 16)
                points.append((float(x + shift[0]), float(y + shift[1]), float(z + shift[2])))
    points.append((66, 66, -158))
    path = smooth_path(points, 7)
    knots = rng.uniform(8.5, 13.5, 60)
    radii = spread(list(knots), len(path))
    # A piece is one crossing of the belly, so that neighbouring loops keep their walls.
    size = 11
    return [
        tube(path[i : i + size + 1], radii[i : i + size + 1], reach=6)
        for i in range(0, len(path) - 1, size)
    ]


def hollow(
    patient: Patient, noise: Grain, name: str, *, wall: float, gas: float, solid: float
) -> Paint:
    """Paint of a gut: wall, then contents with gas on top and lumps of food or stool.

    Args:
        patient: gives HU and the amounts.
        noise: for lumps and pockets.
        name: random stream.
        wall: thickness in mm.
        gas: usual share of gas, 0-1.
        solid: share of the contents with stool texture, 0-1.
    """
    rng = patient.stream(f"contents {name}")
    level = float(rng.normal(0, 0.35)) + (1 - 2 * gas)
    fluid = patient.hu("gut fluid") + (
        float(rng.uniform(60, 260)) if rng.random() < 0.15 else float(rng.normal(8, 10))
    )
    stuff, air, tissue = patient.hu("stool"), patient.hu("gas"), patient.hu("gut wall")

    def paint(distance: Array, x: Array, y: Array, z: Array) -> Array:
        where = noise(x, x, z, 45)
        # Gas rises to the front of the lying patient.
        rise = (y - 88) / 30 + 1.4 * where
        bubbles = noise(x, y, z, 3.5)
        mixed = np.where(bubbles > 0.35, stuff - 420 * (bubbles - 0.35), stuff + 12 * bubbles)
        content = fluid + solid * (mixed - fluid)
        content = np.where(rise > 1.6 * level, air, content)
        inside = np.clip((-distance - wall) / 1.5, 0, 1)
        return np.asarray(tissue + inside * (content - tissue), np.float32)

    return paint


def paint_bowel(canvas: Canvas, patient: Patient, shapes: dict[str, Shape], noise: Grain) -> None:
    """Small bowel, colon, stomach and duodenum, in this order."""
    room = shapes["abdomen"]
    fold = hollow(patient, noise, "small bowel", wall=2.5, gas=0.03, solid=0.12)
    for piece in jejunum(patient):
        loop = intersection(piece, room)
        canvas.paint(grow(loop, 1.0), patient.hu("visceral fat"), opacity=0.5)
        canvas.paint(loop, fold, number("small bowel"))
    large = intersection(colon(patient), room, shapes["outside liver"])
    fat = patient.hu("visceral fat")
    canvas.paint(grow(large, 2.0), fat)
    canvas.paint(
        large, hollow(patient, noise, "colon", wall=2.0, gas=0.35, solid=0.9), number("colon")
    )
    stomach_shape = intersection(patient.vary(stomach(), "stomach", 2.0, 0.08), room,
                                 shapes["outside liver"], blend=4)  # fmt: skip
    canvas.paint(grow(stomach_shape, 1.5), fat)
    canvas.paint(
        stomach_shape, hollow(patient, noise, "stomach", wall=4.5, gas=0.3, solid=0.35),
        number("stomach"),
    )  # fmt: skip
    canvas.paint(grow(duodenum(), 1.2), fat, opacity=0.8)
    canvas.paint(
        duodenum(), hollow(patient, noise, "duodenum", wall=3.0, gas=0.12, solid=0.1),
        number("duodenum"),
    )  # fmt: skip
