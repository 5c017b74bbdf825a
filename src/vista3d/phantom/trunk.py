"""Outline of the trunk: skin, fat, muscle wall, the body cavity and the diaphragm.

Patient coordinates of the standard body: mm, x to the right, y forward, z up, origin in the middle
of vertebra L1. The widths are those of the ICRP reference adult (ICRP 89: trunk height 60 cm, chest
breadth 30-32 cm and depth 21-23 cm, hip breadth 35 cm) with levels after the vertebrae.
"""

from __future__ import annotations

import numpy as np

from vista3d.phantom.canvas import Canvas
from vista3d.phantom.combine import grow, intersection, moved, smooth_tube, subtract, union
from vista3d.phantom.head import outline
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import (
    Array,
    Point,
    Profile,
    Shape,
    as_point,
    ellipsoid,
    loft,
    region,
    tube,
)
from vista3d.phantom.texture import Grain

FASCIA = Profile(
    z=(-420, -340, -290, -240, -190, -140, -95, -50, 0, 50, 100, 150, 195, 225, 250, 268, 284,
       300, 325, 350, 385),
    half=(158, 160, 163, 163, 158, 150, 142, 140, 139, 139, 141, 144, 150, 160, 160, 130, 88,
          62, 56, 55, 56),
    front=(72, 92, 108, 120, 128, 140, 148, 150, 150, 149, 150, 144, 132, 122, 110, 98, 88,
           84, 88, 96, 104),
    back=(-70, -80, -82, -80, -76, -72, -70, -70, -71, -75, -79, -81, -81, -78, -70, -60, -48,
          -38, -26, -16, -10),
    exponent=2.3,
)  # fmt: skip
"""Outer surface of the muscles. Neck above z = 290, thighs (as one) below z = -290."""

INNER = Profile(
    z=(-296, -290, -265, -240, -215, -190, -165, -140, -105, -70, -35, 0, 30, 60, 90, 120, 150,
       180, 210, 235, 255, 270, 280, 287),
    half=(24, 30, 38, 48, 64, 88, 100, 110, 119, 122, 124, 126, 128, 129, 128, 125, 121,
          115, 105, 91, 77, 67, 57, 46),
    front=(44, 52, 74, 90, 102, 112, 122, 131, 137, 139, 139, 139, 139, 138, 137, 135, 130,
           124, 114, 106, 101, 96, 92, 86),
    back=(-16, -24, -40, -53, -55, -51, -43, -36, -33, -32, -33, -38, -46, -52, -56, -58, -57,
          -53, -46, -37, -26, -15, -5, 6),
    exponent=2.25,
)  # fmt: skip
"""Inner surface of chest wall, belly wall and pelvis."""

_REACH = 80.0  # mm around the arms; the fat of an obese patient is 50 mm thick
DOME = 78.0  # mm; height of the central tendon, between the domes


def fascia() -> Shape:
    """The trunk without skin and subcutaneous fat."""
    return loft(FASCIA)


def cavity() -> Shape:
    """The inside of chest, belly and pelvis."""
    return loft(INNER)


def diaphragm(patient: Patient, inner: Shape) -> Shape:
    """Everything below the diaphragm: domes over liver and spleen, falling towards the wall."""
    rng = patient.stream("diaphragm")
    right, left = 20 + 5 * rng.standard_normal(), 9 + 4 * rng.standard_normal()
    breath = float(np.clip(6 * rng.standard_normal(), -14, 12))

    def distance(x: Array, y: Array, z: Array) -> Array:
        wall = np.interp(y, (-60, 0, 60, 130), (-8, 8, 32, 64)).astype(np.float32)
        top = np.float32(DOME) + np.float32(right) * np.exp(-(((x - 62) / 46) ** 2))
        top = top + np.float32(left) * np.exp(-(((x + 70) / 42) ** 2))
        depth = np.maximum(-inner.distance(x, y, np.full_like(z, 40)), 0)
        height = wall + (top - wall) * (1 - np.exp(-depth / 22)) + np.float32(breath)
        # 0.7: the dome is steep near the wall, where height overstates distance.
        return np.asarray((z - height) * np.float32(0.7))

    return region(distance)


def arms(patient: Patient) -> Shape:
    """Shoulders and upper arms."""
    side = []
    for s in (-1.0, 1.0):
        if patient.arms_up:
            path = [(s * 128, 8, 235), (s * 158, 18, 262), (s * 182, 34, 300), (s * 190, 46, 440)]
            radii = [36.0, 44, 40, 38]
        else:
            path = [(s * 120, 5, 262), (s * 165, 14, 252), (s * 190, 12, 190), (s * 208, 10, -20)]
            radii = [30.0, 46, 44, 40]
        side.append(smooth_tube(path, radii, step=15, reach=_REACH))
        # Shoulder blade muscles: trapezius, infraspinatus, deltoid.
        top: list[Point] = [(s * 60, -36, 262), (s * 112, -32, 258), (s * 140, 2, 264)]
        side.append(smooth_tube(top, [20, 27, 34], step=15, reach=_REACH))
        blade: list[Point] = [(s * 96, -40, 225), (s * 112, -42, 160)]
        side.append(smooth_tube(blade, [24, 20], step=15, reach=_REACH))
    return union(*side, blend=10)


def breasts(patient: Patient) -> Shape:
    """Breast tissue on the front of the chest, lying as in a supine patient."""
    size = 0.7 + 0.02 * patient.fat
    pair = [
        ellipsoid((s * 82, 128, 152), (58 * size, 34 * size, 56 * size), (0, 0, s * -20))
        for s in (-1, 1)
    ]
    return union(*pair)


def body(patient: Patient, muscles: Shape) -> Shape:
    """Muscles and bones covered with fat and skin."""
    fat = np.float32(patient.fat)

    def distance(x: Array, y: Array, z: Array) -> Array:
        # Thick over belly and buttocks, thin over shoulders and neck.
        depot = np.interp(
            z, (-330, -230, -150, -60, 30, 130, 230, 290), (1.1, 1.3, 1.2, 1.05, 0.8, 0.6, 0.5, 0.4)
        ).astype(np.float32)
        return np.asarray(muscles.distance(x, y, z) - 3 - fat * depot)

    extra = 3 + 1.35 * patient.fat
    low, high = np.asarray(muscles.low) - extra, np.asarray(muscles.high) + extra
    low[1] = max(low[1], -back(patient))
    # The table flattens the fat of the back.
    table = region(lambda x, y, z: -y - np.float32(back(patient)))
    covered = intersection(Shape(distance, as_point(low), as_point(high)), table, blend=14)
    return covered if patient.male else union(covered, breasts(patient), blend=12)


def back(patient: Patient) -> float:
    """How far the back reaches behind the middle of L1, lying on the table, mm."""
    return 89 + 0.55 * patient.fat


def paint_table(canvas: Canvas, patient: Patient, lowest: float) -> None:
    """A curved carbon table top with a foam core under the back."""
    gap = float(patient.stream("table").uniform(1, 14))

    def sheet(offset: float, thickness: float) -> Shape:
        def distance(x: Array, y: Array, z: Array) -> Array:
            surface = np.float32(lowest - gap - offset) + (x / 220) ** 2 * 26
            return np.asarray(
                np.maximum(np.abs(y - surface) - thickness, np.abs(x) - np.float32(215))
            )

        return Shape(distance, (-216, lowest - gap - offset - 40, -1e4), (216, lowest + 60, 1e4))

    canvas.paint(sheet(14, 13), patient.hu("table core"))
    canvas.paint(sheet(0, 1.2), patient.hu("table"))
    canvas.paint(sheet(28, 1.2), patient.hu("table"))


def paint_trunk(canvas: Canvas, patient: Patient, inner: Shape, noise: Grain) -> None:
    """Skin, subcutaneous fat, the muscle mass and the fat of the cavity."""
    muscles = union(fascia(), arms(patient), outline(), blend=20)
    skin = body(patient, muscles)
    paint_table(canvas, patient, -back(patient))
    fat = patient.hu("fat")

    def subcutaneous(distance: Array, x: Array, y: Array, z: Array) -> Array:
        return np.asarray(fat + 7 * noise(x, y, z, 9))

    def muscle(distance: Array, x: Array, y: Array, z: Array) -> Array:
        strands = np.maximum(noise(x, y, z / 4, 7) - 1.1, 0) * 70
        layers = np.maximum(np.cos(distance * np.float32(2 * np.pi / 9)) - 0.75, 0) * 130
        # Sheets of the body wall; deep muscle has none.
        layers = np.where(distance > -24, layers, 0)
        return np.asarray(patient.hu("muscle") - strands - layers)

    canvas.paint(skin, patient.hu("skin"))
    canvas.paint(grow(skin, -2.0), subcutaneous)
    canvas.paint(muscles, muscle)
    if not patient.male:
        gland = moved(breasts(patient), (0, 0, 0), 0.62)
        gland = subtract(gland, grow(muscles, 4))
        canvas.paint(gland, lambda d, x, y, z: fat + 75 * np.clip(noise(x, y, z, 8) + 0.2, 0, 1.6))
    visceral = patient.hu("visceral fat")

    def mesentery(distance: Array, x: Array, y: Array, z: Array) -> Array:
        strands = np.maximum(noise(x, y, z, 5) - 1.5, 0) * 70
        return np.asarray(visceral + 6 * noise(x, y, z, 11) + strands)

    canvas.paint(inner, mesentery)
    # Intermuscular fat planes of the thighs and buttocks.
    for s in (-1, 1):
        planes = [
            [(s * 40, 96, -330), (s * 95, 70, -270), (s * 150, 40, -250)],
            [(s * 20, -30, -330), (s * 70, -5, -300), (s * 150, -10, -280)],
        ]
        for path in planes:
            canvas.paint(tube(path, 4.0), fat, opacity=0.8)
    canvas.paint(
        intersection(grow(inner, -1), region(lambda x, y, z: z + 250 + 0.4 * np.abs(y - 20))),
        patient.hu("muscle"),
        opacity=0.75,
    )
