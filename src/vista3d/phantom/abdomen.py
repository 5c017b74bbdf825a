"""Solid organs of the belly and pelvis, and the bladder.

Target volumes, ICRP 89 reference adult (organ masses over density): liver 1700 mL, spleen 140,
kidneys 150 each, pancreas 130 with vessels (CT: 70-90), adrenals 7 each, gallbladder 50-60 with
bile, full bladder 200, prostate 17 (CT of older men: 25-40).
"""

from __future__ import annotations

import numpy as np

from vista3d.phantom.canvas import Canvas
from vista3d.phantom.combine import (
    complement,
    grow,
    intersection,
    lumpy,
    smooth_tube,
    subtract,
    union,
)
from vista3d.phantom.ids import both, number
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Array, Shape, ellipsoid, plate, region, tube
from vista3d.phantom.texture import Grain


def kidney(side: int) -> Shape:
    """A bean with its hilum turned to the front and the middle; upper pole inwards."""
    centre = (72.0 * side, 6.0, -20.0 if side > 0 else -8.0)
    turn = (12.0, -9.0 * side, -32.0 * side)
    bean = ellipsoid(centre, (25, 28, 54), turn)
    hilum = ellipsoid((centre[0] - 25 * side, centre[1] + 17, centre[2]), (14, 14, 17), turn)
    return subtract(bean, hilum, blend=10)


def sinus(side: int) -> Shape:
    """Fat and pelvis in the hilum."""
    centre = (72.0 * side, 6.0, -20.0 if side > 0 else -8.0)
    turn = (12.0, -9.0 * side, -32.0 * side)
    return lumpy(ellipsoid((centre[0] - 12 * side, centre[1] + 8, centre[2]), (11, 12, 24), turn),
                 3.0, 17.0)  # fmt: skip


def liver(patient: Patient, inner: Shape, below: Shape) -> Shape:
    """Fills the right dome; its lower face rises to the left; hollow for kidney and gut."""
    rng = patient.stream("liver")
    tip = float(np.clip(rng.normal(0, 14), -22, 26))
    reach = float(np.clip(rng.normal(0, 16), -30, 30))

    def lower(x: Array, y: Array, z: Array) -> Array:
        floor = np.interp(x, (-100, -60, -30, 0, 30, 60, 90, 120, 140),
                          (72, 54, 38, 20, 0, -22, -44, -62, -68)).astype(np.float32)  # fmt: skip
        right = np.clip((x - 20) / 60, 0, 1)
        floor = floor + np.float32(tip) * right
        floor = floor + 0.55 * np.maximum(45 - y, 0) * right - 0.12 * np.maximum(y - 90, 0)
        return np.asarray((floor - z) * np.float32(0.85))

    def behind(x: Array, y: Array, z: Array) -> Array:
        back = np.interp(x, (-100, -60, -30, 0, 25, 42, 60), (100, 88, 76, 60, 34, -4, -70))
        return np.asarray((back.astype(np.float32) - y) * np.float32(0.75))

    left_end = region(lambda x, y, z: -x - np.float32(62 + reach) - 0.25 * (y - 90))
    blob = intersection(region(lower), region(behind), left_end, blend=26)
    dome = intersection(grow(inner, -3), grow(below, -3), blend=6)
    whole = intersection(dome, blob, blend=16)
    bed = ellipsoid((70, 92, -18), (19, 21, 32), (20, 0, 0))
    fissure = plate([(-12, 140, 30), (-4, 100, 52), (-8, 140, 70)], 2.0)
    return subtract(whole, grow(kidney(1), 4), bed, fissure, blend=6)


def spleen(patient: Patient, inner: Shape, below: Shape) -> Shape:
    """Crescent between the left wall, the kidney and the stomach."""
    size = float(np.clip(patient.stream("spleen").normal(1, 0.12), 0.75, 1.35))
    blob = ellipsoid((-100, 2, 26), (50 * size, 62 * size, 60 * size), (25, 0, 0))
    room = intersection(grow(inner, -3), grow(below, -3), blend=6)
    middle = ellipsoid((-30, 46, 24), (50, 50, 78))
    return subtract(intersection(room, blob, blend=8), middle, grow(kidney(-1), 4), blend=6)


def pancreas(patient: Patient) -> Shape:
    """Head in the duodenal loop, body across the spine, tail to the spleen."""
    shape = union(
        smooth_tube([(34, 74, -38), (34, 78, -20), (16, 84, -10), (-14, 82, 4), (-44, 62, 14),
                     (-74, 36, 18)], [11, 15, 10, 11.5, 11, 9]),
        ellipsoid((32, 70, -32), (14, 13, 18)),
        blend=6,
    )  # fmt: skip
    return patient.vary(lumpy(shape, 2.2, 11.0, patient.seed % 7), "pancreas", 2.0)


def gallbladder(patient: Patient) -> Shape:
    """Pear below the liver, neck towards the porta."""
    pear = smooth_tube([(74, 108, -34), (70, 96, -16), (60, 82, 6)], [15, 14, 5])
    size = float(np.clip(patient.stream("gallbladder").normal(1, 0.2), 0.6, 1.3))
    from vista3d.phantom.combine import moved

    return moved(pear, (0, 0, 0), size)


def adrenals() -> dict[int, Shape]:
    """Thin limbs like an inverted Y above the kidneys."""
    right = union(plate([(34, 44, 36), (42, 22, 10), (36, 40, 8)], 2.3),
                  plate([(34, 44, 36), (50, 26, 12), (38, 40, 8)], 2.2), blend=2)  # fmt: skip
    left = union(plate([(-34, 46, 34), (-36, 24, 8), (-34, 46, 6)], 2.4),
                 plate([(-34, 46, 34), (-50, 26, 14), (-36, 44, 6)], 2.3), blend=2)  # fmt: skip
    return {1: right, -1: left}


def paint_kidneys(canvas: Canvas, patient: Patient) -> None:
    """Cortex, pyramids and sinus; the sinus fat is outside the label, as readers draw it."""
    cortex, medulla = patient.hu("kidney cortex"), patient.hu("kidney medulla")

    def parenchyma(distance: Array, x: Array, y: Array, z: Array) -> Array:
        waves = 3.0 * np.sin(z * np.float32(0.38)) * np.sin(y * np.float32(0.3))
        deep = np.clip((-distance - 7 + waves) / 3, 0, 1)
        return np.asarray(cortex + deep * np.float32(medulla - cortex))

    for side, label in both("kidney"):
        # One shift for a kidney and its sinus.
        shift = patient.stream(f"kidney {side}").normal(0, (3, 2.5, 6))
        size = 1 + 0.06 * float(np.clip(patient.stream(f"size {side}").normal(), -2, 2))
        from vista3d.phantom.combine import moved

        canvas.paint(moved(kidney(side), shift, size), parenchyma, label)
        hollow = moved(sinus(side), shift, size)
        canvas.paint(hollow, patient.hu("kidney sinus"), 0)


def paint_solid(canvas: Canvas, patient: Patient, shapes: dict[str, Shape], noise: Grain) -> None:
    """Pancreas, adrenals, spleen, liver with vessels, gallbladder."""
    from vista3d.phantom.vessels import liver_trees, paint_tree

    def grained(hu: float, amount: float, period: float, lobules: float = 0.0) -> object:
        def paint(distance: Array, x: Array, y: Array, z: Array) -> Array:
            value = hu + amount * noise(x, y, z, period)
            if lobules:
                value = value - np.maximum(noise(y, z, x, 4) - 0.9, 0) * np.float32(lobules)
            return np.asarray(value)

        return paint

    canvas.paint(shapes["pancreas"], grained(patient.hu("pancreas"), 5, 6, 60), number("pancreas"))  # type: ignore[arg-type]
    spleen_hu = patient.hu("spleen")
    canvas.paint(grow(shapes["spleen"], 1.5), patient.hu("visceral fat"), opacity=0.6)
    canvas.paint(shapes["spleen"], grained(spleen_hu, 4, 9), number("spleen"))  # type: ignore[arg-type]
    canvas.paint(grow(shapes["liver"], 1.5), patient.hu("visceral fat"), opacity=0.5)
    canvas.paint(shapes["liver"], grained(patient.hu("liver"), 3, 14), number("liver"))  # type: ignore[arg-type]
    paint_tree(canvas, liver_trees(patient, shapes["liver"]), patient.hu("liver vessel"))
    for side, label in both("adrenal gland"):
        canvas.paint(adrenals()[side], patient.hu("adrenal"), label)
    bladder = shapes["gallbladder"]
    canvas.paint(grow(bladder, 1.5), patient.hu("gut wall"))
    canvas.paint(bladder, patient.hu("gallbladder"), number("gallbladder"))


def paint_pelvis(canvas: Canvas, patient: Patient) -> None:
    """Bladder with wall; prostate and seminal vesicles, or uterus."""
    fill = float(np.clip(patient.stream("bladder").normal(1, 0.2), 0.76, 1.5))
    bladder = ellipsoid((0, 56, -252 + 20 * fill), (38 * fill, 33 * fill, 28 * fill), (15, 0, 0))
    if patient.male:
        prostate = patient.vary(ellipsoid((0, 34, -278), (22, 17, 17)), "prostate", 1.5, 0.12)
        vesicles = union(*(tube([(s * 4, 18, -258), (s * 30, 10, -248)], [6, 5]) for s in (-1, 1)))
        canvas.paint(vesicles, patient.hu("prostate") - 15)
        canvas.paint(grow(prostate, 1.5), patient.hu("fat"), opacity=0.6)
        canvas.paint(prostate, patient.hu("prostate"), number("prostate"))
    else:
        uterus = union(
            ellipsoid((4, 30, -212), (26, 30, 20), (30, 0, 0)),
            tube([(2, 18, -228), (0, 8, -256)], [14, 12]),
            blend=8,
        )
        canvas.paint(patient.vary(uterus, "uterus", 3, 0.12), patient.hu("uterus"), 0)
    canvas.paint(grow(bladder, 2.8), patient.hu("bladder wall"))
    canvas.paint(grow(bladder, 2.0), None, number("bladder"))
    canvas.paint(bladder, patient.hu("urine"), number("bladder"))


def organ_shapes(patient: Patient, inner: Shape, below: Shape) -> dict[str, Shape]:
    """Solids that other organs must make room for."""
    return {
        "liver": liver(patient, inner, below),
        "spleen": spleen(patient, inner, below),
        "pancreas": pancreas(patient),
        "gallbladder": gallbladder(patient),
        "abdomen": intersection(grow(inner, -4), grow(below, -4)),
        "outside liver": complement(grow(liver(patient, inner, below), 2)),
    }
