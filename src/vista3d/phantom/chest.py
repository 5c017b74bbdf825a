"""Lungs with fissures and vessels, airways, oesophagus, heart and thyroid.

Sizes: lung capacity in deep inspiration 4-6 L, heart with blood 700-800 mL, trachea 18 mm wide,
carina at T4/T5 (ICRP 89; Fleischner glossary). Fissures as planes: the oblique one from T4 at the
back to the front of the diaphragm, the horizontal one at the fourth rib cartilage.
"""

from __future__ import annotations

import numpy as np

from vista3d.phantom.canvas import Canvas
from vista3d.phantom.combine import complement, grow, intersection, smooth_tube, subtract, union
from vista3d.phantom.ids import number
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Array, Point, Profile, Shape, ellipsoid, loft, region, tube
from vista3d.phantom.spine import LEVELS, canal, column
from vista3d.phantom.texture import Grain

_MEDIASTINUM = Profile(
    z=(20, 60, 90, 120, 150, 170, 190, 210, 235, 260, 280, 300),
    half=(24, 24, 24, 25, 32, 35, 30, 27, 26, 28, 33, 46),
    front=(100, 105, 108, 108, 104, 100, 96, 92, 88, 88, 86, 90),
    back=(6, 4, 0, -6, -10, -10, -8, -4, 2, 6, 8, 10),
    exponent=2.2,
)


def heart_parts(patient: Patient) -> dict[str, Shape]:
    """Muscle, chambers and the surface of the heart, apex to the left front."""
    turn = (-28.0, 0.0, 38.0)
    left = ellipsoid((-36, 76, 104), (35, 54, 35), turn)
    left_cavity = ellipsoid((-32, 71, 107), (22, 40, 22), turn)
    right = ellipsoid((0, 97, 102), (50, 27, 36), (-14.0, 8.0, 20.0))
    right_cavity = ellipsoid((1, 98, 103), (45, 22, 31), (-14.0, 8.0, 20.0))
    atrium_right = ellipsoid((34, 72, 118), (25, 28, 36))
    atrium_left = ellipsoid((-2, 44, 136), (38, 24, 26))
    outflow = tube([(-12, 102, 118), (-18, 94, 158)], [18, 14])
    core = ellipsoid((0, 74, 120), (36, 34, 36))
    parts = {
        "muscle": union(left, right, atrium_right, atrium_left, outflow, core, blend=14),
        "left ventricle": left_cavity,
        "right ventricle": union(subtract(right_cavity, grow(left, 1)), outflow, blend=4),
        "right atrium": grow(atrium_right, -2),
        "left atrium": grow(atrium_left, -2),
        "appendage": union(
            ellipsoid((-40, 62, 150), (10, 17, 10), (0, 0, 20)),
            tube([(-30, 48, 146), (-40, 60, 150)], 8.0),
            blend=4,
        ),
    }
    return {name: patient.vary(shape, "heart") for name, shape in parts.items()}


def airway_shapes() -> tuple[Shape, Shape]:
    """Trachea with both main bronchi, and the lobar bronchi that go on into the lungs."""
    carina = (4.0, 27.0, 192.0)
    windpipe: list[Point] = [(0, 78, 345), (0, 62, 298), (2, 46, 255), (3, 33, 215), carina]
    trachea = smooth_tube(windpipe, [9.5, 9, 9, 9, 9.5], wide=(1, 0, 0), flatten=0.88)
    right = tube([carina, (24, 26, 180), (40, 24, 168)], [8, 7.5, 6.5])
    left = tube([carina, (-22, 24, 180), (-46, 26, 164)], [7.5, 6.5, 6])
    branches = []
    for s, hilum in ((1, (40, 24, 168)), (-1, (-46, 26, 164))):
        for end, r in (((70, 60, 200), 1.4), ((74, 70, 140), 1.2), ((72, -10, 110), 1.6),
                       ((78, 0, 180), 1.2)):  # fmt: skip
            branches.append(tube([hilum, (s * end[0], end[1], end[2])], [5.0, r]))
    return union(trachea, right, left, blend=3), union(*branches)


def spine_room() -> Shape:
    """What the lungs leave to the spine: bodies, arches and the rib necks."""
    heights = [level.z for level in reversed(LEVELS)]
    backs = [canal(level) for level in reversed(LEVELS)]

    def wedge(x: Array, y: Array, z: Array) -> Array:
        behind = y - np.interp(z, heights, backs).astype(np.float32)
        # Widens from the canal to the back wall, so that the lungs end in round gutters.
        return np.asarray(
            np.abs(x) - (24 + np.maximum(-behind, 0) * 0.35) + np.maximum(behind, 0) * 0.9
        )

    return union(grow(column(), 3), region(wedge), blend=6)


def lung_field(patient: Patient, inner: Shape, below: Shape, heart: Shape) -> Shape:
    """Both lungs as one solid, cut apart by the mediastinum."""
    septum = region(lambda x, y, z: np.abs(x + 4) - np.float32(4))
    middle = union(loft(_MEDIASTINUM), septum, blend=14)
    room = union(middle, grow(heart, 3), blend=8)
    return intersection(
        subtract(grow(inner, -1.5), room, spine_room(), blend=8), complement(grow(below, 1.5)),
        blend=4,
    )  # fmt: skip


def oblique(side: int) -> Shape:
    """Below and behind the oblique fissure."""
    height = 168.0 if side < 0 else 158.0
    return region(lambda x, y, z: (z + 0.95 * y + 0.12 * np.abs(x) - height) * np.float32(0.72))


def paint_lungs(canvas: Canvas, patient: Patient, lung: Shape, noise: Grain) -> None:
    """Five lobes: air with gravity gradient, then fissures."""
    base = patient.hu("lung")

    def parenchyma(distance: Array, x: Array, y: Array, z: Array) -> Array:
        rind = np.clip(1 + distance / 6, 0, 1) * 25
        return np.asarray(base - 0.35 * (y - 40) + 22 * noise(x, y, z, 3.5) + rind)

    height = float(150 + 6 * patient.stream("fissures").standard_normal())
    horizontal = region(lambda x, y, z: z - np.float32(height))
    sides = {
        -1: intersection(lung, region(lambda x, y, z: x)),
        1: intersection(lung, region(lambda x, y, z: -x)),
    }
    canvas.paint(lung, parenchyma)
    canvas.paint(sides[-1], None, number("left lung upper lobe"))
    canvas.paint(intersection(sides[-1], oblique(-1)), None, number("left lung lower lobe"))
    canvas.paint(sides[1], None, number("right lung upper lobe"))
    canvas.paint(intersection(sides[1], horizontal), None, number("right lung middle lobe"))
    canvas.paint(intersection(sides[1], oblique(1)), None, number("right lung lower lobe"))
    for s in (-1, 1):
        sheets = [oblique(s)]
        if s > 0:
            sheets.append(union(horizontal, oblique(1)))
        for sheet in sheets:
            canvas.paint(intersection(sides[s], leaf(sheet)), base + 250, opacity=0.45)


def leaf(shape: Shape) -> Shape:
    """The surface of a solid as a sheet of 1 mm."""
    return region(lambda x, y, z: np.abs(shape.distance(x, y, z)) - np.float32(0.5))


def paint_heart(canvas: Canvas, patient: Patient, parts: dict[str, Shape]) -> None:
    """Fat around the heart, its muscle and the blood in it."""
    label = number("heart")
    canvas.paint(grow(parts["muscle"], 3), patient.hu("visceral fat"))
    canvas.paint(parts["muscle"], patient.hu("myocardium"), label)
    for name, tissue in (
        ("right atrium", "right chamber"), ("right ventricle", "right chamber"),
        ("left atrium", "heart chamber"), ("left ventricle", "heart chamber"),
    ):  # fmt: skip
        canvas.paint(parts[name], patient.hu(tissue), label)
    canvas.paint(parts["appendage"], patient.hu("heart chamber"), number("left atrial appendage"))


def paint_airways(canvas: Canvas, patient: Patient) -> None:
    """Trachea and bronchi with walls."""
    trachea, bronchi = airway_shapes()
    canvas.paint(grow(bronchi, 1.0), patient.hu("airway wall"), opacity=0.5)
    canvas.paint(bronchi, patient.hu("airway"))
    canvas.paint(grow(trachea, 1.8), patient.hu("airway wall") + 40)
    canvas.paint(trachea, patient.hu("airway"), number("trachea"))
    # Larynx and lower pharynx carry on to the head; they are not the trachea.
    canvas.paint(tube([(0, 78, 345), (0, 81, 372), (0, 80, 390)], [8, 5, 7]), patient.hu("airway"))


def paint_neck(canvas: Canvas, patient: Patient) -> None:
    """Oesophagus, thyroid gland and the muscles beside the neck vessels."""
    gullet = smooth_tube(
        [(-2, 64, 330), (-3, 52, 298), (-4, 34, 255), (-4, 16, 205), (0, 14, 165), (-2, 18, 125),
         (-10, 34, 92), (-22, 50, 72)],
        [7, 8, 8, 8, 8, 8.5, 9, 9], wide=(1, 0, 0), flatten=0.75,
    )  # fmt: skip
    canvas.paint(gullet, patient.hu("esophagus"), number("esophagus"))
    canvas.paint(grow(gullet, -6), patient.hu("gut fluid") - 150)
    thyroid = union(
        *(ellipsoid((s * 19, 72, 296), (9, 11, 22), (0, s * 10, 0)) for s in (-1, 1)),
        tube([(-15, 82, 288), (15, 82, 288)], 5.0),
        blend=4,
    )
    canvas.paint(patient.vary(thyroid, "thyroid"), patient.hu("thyroid"), number("thyroid gland"))
