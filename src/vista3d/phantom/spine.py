"""The spine: vertebrae C3 to L5, discs, sacrum, canal with cord; and the paraspinal muscles.

Heights of vertebral bodies and discs after Gilad & Nissan, Spine 1986;11:154 and Panjabi et al.,
Spine 1991;16:888 (bodies: T6 about 20 mm, L1 27 mm; discs: thoracic 4-5 mm, lumbar 9-11 mm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vista3d.phantom.canvas import Canvas, shelled
from vista3d.phantom.combine import smooth_path, smooth_tube, spread, union
from vista3d.phantom.ids import number
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Point, Shape, cylinder, ellipsoid, tube


@dataclass(frozen=True)
class Level:
    """One vertebra: middle of its body, half-axes of the body, half-height, reach of processes."""

    name: str
    y: float
    z: float
    half_width: float
    half_depth: float
    half_height: float
    transverse: float
    spinous: float
    drop: float
    """Height lost by the spinous process on its way back."""


LEVELS = (
    Level("C3", 58, 374, 11.7, 8.6, 5.8, 24, 23, 2),
    Level("C4", 60, 357, 11.7, 8.6, 5.8, 25, 23, 3),
    Level("C5", 59, 340, 12.7, 9.2, 5.8, 26, 25, 4),
    Level("C6", 55, 323, 13.8, 9.7, 6, 28, 29, 6),
    Level("C7", 48, 305.5, 14.8, 10.3, 6.3, 33, 37, 10),
    Level("T1", 38, 287, 15.9, 10.8, 7.6, 36, 35, 16),
    Level("T2", 26, 268, 15.9, 11.3, 8.3, 34, 35, 20),
    Level("T3", 14, 248.5, 15.4, 12.4, 8.6, 32, 35, 24),
    Level("T4", 4, 228, 14.8, 13, 8.9, 32, 35, 27),
    Level("T5", -4, 206, 14.8, 13.5, 9.4, 32, 35, 30),
    Level("T6", -9, 183, 15.4, 14, 9.8, 32, 35, 32),
    Level("T7", -12, 159.5, 15.9, 14.6, 10.1, 32, 35, 32),
    Level("T8", -12, 135.5, 16.4, 15.1, 10.5, 32, 35, 30),
    Level("T9", -10, 111, 17, 15.7, 10.9, 32, 35, 26),
    Level("T10", -5, 85.5, 18, 16.2, 11.3, 31, 35, 22),
    Level("T11", 1, 58.5, 19.6, 16.7, 11.7, 28, 35, 16),
    Level("T12", 9, 30.5, 21.2, 16.7, 12.3, 27, 37, 11),
    Level("L1", 17, 1, 22.8, 17.3, 12.4, 37, 41, 9),
    Level("L2", 23, -31, 23.9, 17.8, 12.7, 41, 43, 9),
    Level("L3", 28, -64, 24.9, 18.4, 12.8, 45, 43, 9),
    Level("L4", 28, -98, 26, 18.4, 12.8, 43, 42, 9),
    Level("L5", 20, -131, 27, 18.4, 12.4, 43, 37, 8),
)

SACRUM: tuple[Point, ...] = (
    (0, 6, -160), (0, -12, -185), (0, -32, -212), (0, -45, -240), (0, -42, -262), (0, -32, -280),
)  # fmt: skip


def tilt(index: int) -> float:
    """Forward inclination of a vertebra's own axis, degrees about x."""
    above, below = LEVELS[max(index - 1, 0)], LEVELS[min(index + 1, len(LEVELS) - 1)]
    return float(np.degrees(np.arctan2(above.y - below.y, above.z - below.z)))


def canal(level: Level) -> float:
    """y of the middle of the spinal canal."""
    return level.y - level.half_depth - 9.0


def wing_tip(level: Level, side: int) -> Point:
    """End of a transverse process; thoracic ones point backwards and up."""
    lumbar = level.name.startswith("L")
    back, up = (4, 0) if lumbar else (12, 4)
    return (side * level.transverse, canal(level) - back, level.z + up)


def body_of(index: int) -> Shape:
    """Vertebral body: waisted, rim wider than the middle."""
    level = LEVELS[index]
    turn = (-tilt(index), 0.0, 0.0)
    centre = (0.0, level.y, level.z)
    radii = (level.half_width, level.half_depth)
    waist = cylinder(centre, (radii[0] * 0.92, radii[1] * 0.94), level.half_height, turn)
    rims = []
    for sign in (-1, 1):
        lean = np.sin(np.radians(tilt(index)))
        z = level.z + sign * (level.half_height - 2.5)
        rims.append(cylinder((0.0, level.y + sign * lean * level.half_height, z), radii, 2.5, turn))
    return union(waist, *rims, blend=3)


def arch_of(level: Level) -> Shape:
    """Pedicles, laminae, transverse, articular and spinous processes."""
    lumbar = level.name.startswith("L")
    cy, z = canal(level), level.z
    wide = 13.0 if lumbar else 11.0
    pedicle_z = z + 3
    thick = 5.2 if lumbar else 4.0
    tip = (0.0, cy - level.spinous + 8, z - level.drop)
    root = (0.0, cy - 12, z - 2)
    parts = [
        tube([root, tip], [thick + 2, thick + 1], wide=(0, 0, 1), flatten=0.5),
        tube([root, tip], [thick, thick]),
    ]
    for s in (-1, 1):
        side = s * wide
        joint = (side * 1.15, cy - 3, z)
        parts += [
            tube([(side, level.y - level.half_depth * 0.7, pedicle_z), (side, cy - 2, pedicle_z)],
                 thick + 1.2),
            tube([(side * 1.05, cy - 4, z), root], thick, wide=(0, 0, 1), flatten=0.6),
            tube([(side * 1.05, cy - 4, z - 7), (0, cy - 14, z - 8)], thick - 0.6),
            tube([joint, wing_tip(level, s)], thick),
            ellipsoid((side * 1.15, cy - 5, z - level.half_height * 0.9), (5, 4.5, 8)),
            ellipsoid((side * 1.2, cy - 4, z + level.half_height * 0.9), (4.5, 4.5, 7)),
        ]  # fmt: skip
    return union(*parts, blend=2)


def column() -> Shape:
    """All bodies and discs as one rod, for cutting lungs and vessels."""
    path = [(0.0, level.y, level.z) for level in reversed(LEVELS)]
    return tube(path, [level.half_width for level in reversed(LEVELS)], reach=30)


def sacrum(patient: Patient) -> tuple[Shape, Shape]:
    """Sacrum with coccyx, and the body of S1 inside it."""
    path = smooth_path(SACRUM, 6)
    wings = tube(path, spread((47, 52, 43, 28, 15, 7), len(path)), wide=(1, 0, 0), flatten=0.36)
    crest = smooth_tube([(0, -14, -165), (0, -36, -190), (0, -56, -215), (0, -62, -235)],
                        [9, 8, 7, 5])  # fmt: skip
    s1 = cylinder((0, 8, -160), (25, 17), 12.5, (-34, 0, 0))
    return union(wings, crest, s1, blend=4), s1


def paint_spine(canvas: Canvas, patient: Patient) -> None:
    """Discs, vertebrae, sacrum, then canal and cord."""
    path = [(0.0, level.y, level.z) for level in reversed(LEVELS)]
    radii = [level.half_width * 0.93 for level in reversed(LEVELS)]
    discs = tube([*[(0.0, 8.0, -158.0)], *path], [23.0, *radii], wide=(1, 0, 0), flatten=0.72)
    canvas.paint(discs, patient.hu("disc"))
    spongy, dense = patient.hu("spongiosa"), patient.hu("cortex")
    whole, s1 = sacrum(patient)
    canvas.paint(whole, shelled(dense * 0.5, spongy * 0.7, 1.5), number("sacrum"))
    canvas.paint(s1, shelled(dense * 0.45, spongy * 0.9, 1.2), number("vertebrae S1"))
    for index, level in enumerate(LEVELS):
        label = number(f"vertebrae {level.name}")
        canvas.paint(arch_of(level), shelled(dense, spongy * 1.6, 1.8), label)
        canvas.paint(body_of(index), shelled(dense * 0.55, spongy, 1.2), label)
    paint_cord(canvas, patient, number("spinal cord"))


def paint_cord(canvas: Canvas, patient: Patient, label: int) -> None:
    """Canal fat, dural sac and cord; the label follows the sac below the cord's end at L1."""
    middle = [(0.0, canal(level), level.z) for level in reversed(LEVELS)]
    middle += [(0.0, 44.0, 400.0), (0.0, 48.0, 440.0)]
    low = [(0.0, -38.0, -205.0), (0.0, -20.0, -180.0), (0.0, -6.0, -156.0)]
    path = [*low, *middle]
    count = len(path)
    canvas.paint(tube(path, spread((4, 8.5, 8.5, 8.2, 8.5), count)), patient.hu("fat"))
    sac = tube(path, spread((3, 7.2, 7, 7, 7), count))
    canvas.paint(sac, patient.hu("thecal fluid"), label)
    cord = [p for p in path if p[2] > -15]
    canvas.paint(tube(cord, spread((3, 5, 4.6, 5, 5.2), len(cord)), wide=(1, 0, 0), flatten=0.8),
                 patient.hu("cord"))  # fmt: skip


def paint_autochthon(canvas: Canvas, patient: Patient, left: int, right: int) -> None:
    """Erector spinae and multifidus on both sides of the spinous processes."""
    knots = (
        # z, x, y behind the canal, half-width, flatness
        (-190, 22, 42, 16), (-165, 27, 44, 24), (-130, 33, 38, 29), (-70, 37, 32, 33),
        (0, 36, 29, 32), (60, 31, 28, 26), (130, 26, 28, 20), (200, 24, 27, 17),
        (260, 22, 25, 16), (300, 20, 23, 16), (375, 18, 21, 17),
    )  # fmt: skip
    heights = [level.z for level in reversed(LEVELS)]
    middles = [canal(level) for level in reversed(LEVELS)]
    for s, label in ((-1, left), (1, right)):
        path, radii = [], []
        for z, x, back, half in knots:
            y = float(np.interp(z, heights, middles)) - back
            path.append((s * float(x), y + 12 if z < -150 else y + 8, float(z)))
            radii.append(float(half))
        points = smooth_path(path, 12)
        sizes = np.interp([p[2] for p in points], [k[0] for k in knots], radii)
        muscle = tube(points, list(sizes), wide=(1, 0, 0), flatten=0.6)
        sheath = tube(points, list(sizes + 1.5), wide=(1, 0, 0), flatten=0.63)
        canvas.paint(sheath, patient.hu("fat"), opacity=0.5)
        canvas.paint(muscle, patient.hu("muscle"), label)
