"""Great vessels and the vessel trees of lungs and liver.

Calibres: ascending aorta 31-33 mm, descending 25 mm, abdominal 20 mm, common iliac artery 11 mm,
inferior vena cava 20-22 mm (Hager et al., J Thorac Cardiovasc Surg 2002;123:1060; Wolak et al.,
JACC Imaging 2008;1:200).
"""

from __future__ import annotations

import numpy as np

from vista3d.phantom.canvas import Canvas
from vista3d.phantom.combine import grow, smooth_tube
from vista3d.phantom.ids import number
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Point, Shape, tube

Vessel = tuple[str, str, tuple[Point, ...], tuple[float, ...]]

# structure ("" is unnamed), tissue, centreline, radii
_VESSELS: tuple[Vessel, ...] = (
    ("", "pulmonary artery",
     ((-18, 94, 158), (-14, 74, 182), (10, 52, 180), (46, 38, 174)), (14, 14, 12, 10)),
    ("", "pulmonary artery",
     ((-14, 74, 182), (-30, 46, 184), (-54, 30, 172)), (13, 12, 10)),
    ("pulmonary vein", "pulmonary vein",
     ((24, 38, 142), (46, 36, 152), (62, 40, 164)), (8, 7, 5)),
    ("pulmonary vein", "pulmonary vein",
     ((22, 32, 132), (44, 24, 128), (62, 18, 118)), (8, 7, 5)),
    ("pulmonary vein", "pulmonary vein",
     ((-28, 38, 146), (-46, 36, 152), (-60, 40, 162)), (8, 7, 5)),
    ("pulmonary vein", "pulmonary vein",
     ((-26, 32, 134), (-46, 24, 130), (-62, 18, 122)), (8, 7, 5)),
    ("superior vena cava", "superior vena cava",
     ((34, 68, 140), (35, 66, 170), (35, 66, 226)), (10, 9.5, 8.5)),
    ("left brachiocephalic vein", "superior vena cava",
     ((33, 68, 226), (4, 84, 236), (-30, 80, 248), (-44, 74, 262)), (7, 7, 7, 7)),
    ("right brachiocephalic vein", "superior vena cava",
     ((35, 66, 226), (40, 70, 246), (46, 72, 262)), (8, 8, 7)),
    ("", "superior vena cava",
     ((46, 72, 262), (38, 62, 300), (36, 66, 350), (36, 74, 420)), (6, 7, 7, 7)),
    ("", "superior vena cava",
     ((-44, 74, 262), (-36, 62, 300), (-35, 66, 350), (-36, 74, 420)), (6, 6.5, 6.5, 6.5)),
    ("", "superior vena cava",
     ((46, 72, 262), (72, 70, 266), (108, 50, 262), (150, 32, 240)), (6, 6, 5, 4)),
    ("", "superior vena cava",
     ((-44, 74, 262), (-72, 70, 266), (-108, 50, 262), (-150, 32, 240)), (6, 6, 5, 4)),
    ("brachiocephalic trunk", "artery",
     ((14, 62, 220), (20, 66, 240), (26, 66, 254)), (7, 6.5, 6.5)),
    ("right common carotid artery", "artery",
     ((26, 66, 254), (27, 62, 290), (28, 62, 330), (29, 70, 420)), (4, 4, 4, 4)),
    ("right subclavian artery", "artery",
     ((26, 64, 254), (46, 52, 268), (76, 56, 268), (110, 44, 256)), (5, 5, 4.5, 4)),
    ("left common carotid artery", "artery",
     ((-1, 54, 222), (-14, 58, 250), (-26, 60, 290), (-28, 62, 330), (-29, 70, 420)),
     (4.5, 4, 4, 4, 4)),
    ("left subclavian artery", "artery",
     ((-12, 40, 220), (-24, 40, 250), (-46, 50, 268), (-76, 56, 268), (-110, 44, 256)),
     (5.5, 5, 5, 4.5, 4)),
    ("left iliac artery", "artery",
     ((-5, 54, -92), (-24, 54, -126), (-44, 42, -165), (-62, 66, -215), (-72, 88, -256),
      (-76, 96, -330)), (6, 5.5, 5.5, 5, 5, 5)),
    ("right iliac artery", "artery",
     ((-4, 54, -92), (20, 56, -126), (46, 44, -165), (62, 66, -215), (72, 88, -256),
      (76, 96, -330)), (6, 5.5, 5.5, 5, 5, 5)),
    ("left iliac artery", "artery",
     ((-40, 46, -155), (-44, 20, -185), (-48, -4, -205)), (4, 3.5, 3)),
    ("right iliac artery", "artery",
     ((42, 47, -155), (44, 20, -185), (48, -4, -205)), (4, 3.5, 3)),
    ("right iliac vena", "iliac vein",
     ((17, 46, -104), (30, 38, -135), (48, 32, -172), (58, 54, -215), (64, 82, -252),
      (66, 92, -330)), (9, 8, 7, 6.5, 6.5, 6)),
    ("left iliac vena", "iliac vein",
     ((16, 46, -104), (-8, 42, -132), (-38, 30, -168), (-56, 54, -215), (-63, 82, -252),
      (-65, 92, -330)), (8.5, 8, 7, 6.5, 6.5, 6)),
    ("left iliac vena", "iliac vein",
     ((-38, 30, -168), (-46, 8, -192)), (5, 4)),
    ("right iliac vena", "iliac vein",
     ((46, 32, -168), (48, 8, -192)), (5, 4)),
    ("inferior vena cava", "inferior vena cava",
     ((17, 47, -102), (21, 49, -60), (24, 50, -15), (27, 48, 25), (27, 46, 62), (28, 58, 98)),
     (11, 10.5, 11, 11.5, 12, 12)),
    ("", "kidney cortex",
     ((24, 47, -14), (44, 30, -18), (54, 22, -20)), (5, 4.5, 4)),
    ("", "kidney cortex",
     ((24, 50, -8), (-10, 64, -6), (-36, 38, -6), (-52, 24, -8)), (4.5, 4.5, 4.5, 4)),
    ("portal vein and splenic vein", "portal vein",
     ((12, 78, -6), (26, 76, 12), (40, 74, 28), (52, 74, 36)), (7, 7, 6.5, 5)),
    ("portal vein and splenic vein", "portal vein",
     ((12, 78, -6), (-14, 72, 6), (-44, 54, 16), (-72, 30, 22)), (6, 5, 4.5, 4)),
    ("", "portal vein",
     ((12, 78, -6), (10, 82, -50), (6, 86, -100)), (5.5, 5, 3)),
    ("", "artery",
     ((-6, 52, 22), (-4, 70, 24), (20, 78, 26)), (3.5, 3, 2.5)),
    ("", "artery",
     ((-6, 52, 10), (-4, 68, -6), (-4, 76, -50), (0, 84, -100)), (4, 3.5, 3.5, 2)),
    ("", "artery",
     ((-4, 50, 0), (30, 34, -12), (54, 20, -18)), (3, 2.8, 2.5)),
    ("", "artery",
     ((-10, 48, 0), (-34, 30, -6), (-54, 20, -8)), (3, 2.8, 2.5)),
)  # fmt: skip

_AORTA: tuple[Point, ...] = (
    (2, 76, 146), (14, 86, 170), (19, 84, 194), (14, 68, 211), (0, 50, 216), (-12, 32, 211),
    (-20, 16, 196), (-22, 10, 170), (-20, 12, 130), (-17, 18, 95), (-12, 32, 60), (-8, 43, 32),
    (-7, 51, 0), (-7, 57, -35), (-7, 61, -65), (-5, 57, -96),
)  # fmt: skip
_AORTA_RADII = (16, 16, 15.5, 14.5, 13.5, 13, 12.5, 12, 11.8, 11.5, 11, 11, 10, 9.5, 9, 9)


def aorta(patient: Patient) -> Shape:
    """The aorta from its root to the bifurcation; wider with age."""
    width = float(patient.stream("aorta").normal(1, 0.07))
    path = _AORTA
    shape = smooth_tube(path, [r * width for r in _AORTA_RADII], step=6)
    return patient.vary(shape, "aorta", 1.5, 0.0)


def paint_vessels(canvas: Canvas, patient: Patient, *, portal: bool) -> None:
    """Great vessels and their unnamed companions.

    Args:
        canvas: where.
        patient: gives calibres and HU.
        portal: only the portal system, which lies in pancreas and liver; or all the others.
    """
    fat = patient.hu("visceral fat")
    width = float(patient.stream("vessels").normal(1, 0.08))
    for name, tissue, path, radii in _VESSELS:
        if (tissue == "portal vein") != portal:
            continue
        shape = smooth_tube(path, [r * width for r in radii], step=6)
        shape = patient.vary(shape, f"{name}{path[0]}", 1.0, 0.0)
        if not portal and (path[0][2] < 60 or path[0][2] > 215):
            canvas.paint(grow(shape, 1.5), fat, opacity=0.6)
        canvas.paint(shape, patient.hu(tissue), number(name) if name else None)
    if not portal:
        paint_aorta(canvas, patient)


def paint_aorta(canvas: Canvas, patient: Patient) -> None:
    """Wall, blood and, with age, calcified plaques."""
    shape = aorta(patient)
    canvas.paint(grow(shape, 1.3), patient.hu("muscle"), opacity=0.7)
    canvas.paint(shape, patient.hu("aorta"), number("aorta"))
    chance = patient.stream("calcification")
    if patient.bone < 0.95:
        for _ in range(int(chance.integers(2, 9))):
            a = np.asarray(_AORTA[int(chance.integers(3, len(_AORTA) - 1))], float)
            way = chance.standard_normal(3)
            at = a + way / np.linalg.norm(way) * 10.5
            canvas.paint(tube([tuple(at), tuple(at + chance.normal(0, 2, 3))], 1.8), 500.0)


def grow_tree(
    root: Point, targets: np.ndarray, radius: float, *, thinnest: float, power: float = 0.42
) -> list[tuple[Point, Point, float, float]]:
    """A branching tree that reaches targets in order of distance, each from its nearest node.

    Args:
        root: where the tree enters the organ, mm.
        targets: [n, 3] mm.
        radius: at the root.
        thinnest: smallest radius.
        power: radius ~ number of ends below ** power (Murray's law is 1/3).

    Returns:
        Segments (from, to, radius, radius).
    """
    nodes = [np.asarray(root, float)]
    parent = [-1]
    order = np.argsort(np.linalg.norm(targets - nodes[0], axis=1))
    for target in targets[order]:
        every = np.stack(nodes)
        toward = np.linalg.norm(every - target, axis=1) + 0.15 * np.linalg.norm(
            every - nodes[0], axis=1
        )
        nearest = int(np.argmin(toward))
        nodes.append(target)
        parent.append(nearest)
    ends = np.ones(len(nodes))
    for child in range(len(nodes) - 1, 0, -1):
        ends[parent[child]] += ends[child]
    size = np.maximum(radius * (ends / ends[0]) ** power, thinnest)
    return [
        (tuple(nodes[parent[i]]), tuple(nodes[i]), float(size[i]), float(size[i] * 0.9))
        for i in range(1, len(nodes))
    ]


def scatter(shape: Shape, count: int, rng: np.random.Generator, depth: float) -> np.ndarray:
    """About `count` random points at least `depth` mm inside a solid; [n, 3] mm."""
    low, high = np.asarray(shape.low), np.asarray(shape.high)
    points = rng.uniform(low, high, (count * 12, 3)).astype(np.float32)
    columns = points.T.reshape(3, -1, 1, 1)
    inside = shape.distance(*columns).ravel() < -depth
    return np.asarray(points[inside][:count])


def paint_tree(
    canvas: Canvas, segments: list[tuple[Point, Point, float, float]], hu: float
) -> None:
    """Paint a vessel tree without labels; vessels thinner than a voxel fade accordingly."""
    for a, b, ra, rb in segments:
        cover = min(1.0, (2 * ra / canvas.soft) ** 2 * 0.8 + 0.05) if ra < canvas.soft / 2 else 1.0
        canvas.paint(tube([a, b], [ra, rb], reach=canvas.soft), hu, opacity=cover)


def lung_trees(patient: Patient, lung: Shape) -> list[tuple[Point, Point, float, float]]:
    """Arteries and veins of both lungs."""
    out = []
    for s, root in ((1, (46.0, 36.0, 168.0)), (-1, (-52.0, 32.0, 166.0))):
        rng = patient.stream(f"lung tree {s}")
        points = scatter(lung, 1500, rng, 2.0)
        side = points[np.sign(points[:, 0]) == s][:650]
        out += grow_tree(root, side, 8.0, thinnest=0.6, power=0.4)
    return out


def liver_trees(patient: Patient, liver: Shape) -> list[tuple[Point, Point, float, float]]:
    """Portal and hepatic veins."""
    rng = patient.stream("liver tree")
    portal = grow_tree((50.0, 74.0, 36.0), scatter(liver, 60, rng, 8.0), 6, thinnest=0.8)
    hepatic = grow_tree((30.0, 52.0, 72.0), scatter(liver, 50, rng, 8.0), 6, thinnest=0.8)
    return portal + hepatic
