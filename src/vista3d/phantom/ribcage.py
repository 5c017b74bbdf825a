"""Twelve pairs of ribs, their cartilages and the sternum, lying on the chest wall.

Slopes after Mohr et al., J Biomech 2007;40:S41 (pump-handle angle about 30-45 degrees, lowest ribs
less); cortical shell under 1 mm (Mohr et al.), rib section about 12 x 7 mm.
"""

from __future__ import annotations

import numpy as np

from vista3d.phantom.canvas import Canvas, shelled
from vista3d.phantom.combine import smooth_path, spread
from vista3d.phantom.ids import both, number
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Point, Shape, tube
from vista3d.phantom.spine import LEVELS, canal
from vista3d.phantom.trunk import INNER

# Per rib: drop from head to front end in mm; where it ends, degrees round the chest from the back
# (90 is the side, 180 the middle of the front).
_DROP = (50, 70, 88, 102, 114, 124, 126, 122, 116, 106, 94, 64)
_END = (152, 148, 146, 146, 145, 142, 136, 128, 118, 106, 86, 54)
_WALL = 5.5  # mm from the inner surface of the wall to the middle of a rib
STERNUM: tuple[Point, ...] = (
    (0, 90, 243), (0, 98, 226), (0, 112, 200), (0, 126, 165), (0, 136, 130), (0, 138, 112),
)  # fmt: skip


def wall_point(angle: float, z: float) -> tuple[float, float]:
    """(x, y) on the middle of the right chest wall, `angle` degrees round from the back."""
    half, front, back = (np.interp(z, INNER.z, v) for v in (INNER.half, INNER.front, INNER.back))
    half, front, back = half + _WALL, front + _WALL, back - _WALL
    s, c = np.sin(np.radians(angle)), -np.cos(np.radians(angle))
    power = 2 / INNER.exponent
    x = half * abs(s) ** power
    y = (front + back) / 2 + (front - back) / 2 * np.sign(c) * abs(c) ** power
    return float(x), float(y)


def rib_path(rib: int) -> list[Point]:
    """Centreline of a right rib (1..12), from the vertebra to the front end."""
    level = next(level for level in LEVELS if level.name == f"T{rib}")
    top = level.z + 9
    path: list[Point] = [
        (level.half_width + 1, level.y - level.half_depth * 0.8, top),
        (level.half_width + 14, canal(level) - 8, top - 1),
    ]
    end, drop = _END[rib - 1], _DROP[rib - 1]
    first = 30 if rib < 3 else 24
    for angle in np.linspace(first, end, 12):
        t = (angle - first) / (end - first)
        # Nearly level to the angle of the rib, then steady descent.
        z = top - 3 - drop * (0.75 * t + 0.25 * t * t)
        x, y = wall_point(float(angle), z)
        path.append((x, max(y, canal(level) - 26) if angle < 30 else y, float(z)))
    return smooth_path(path, 7)


def cartilage_path(rib: int) -> list[Point]:
    """Centreline of a right costal cartilage (1..10), from the rib to the sternum."""
    start = rib_path(rib)[-1]
    if rib <= 7:
        heights = (238, 222, 204, 186, 166, 146, 128)
        z = float(heights[rib - 1])
        y = float(
            np.interp(z, [p[2] for p in reversed(STERNUM)], [p[1] for p in reversed(STERNUM)])
        )
        end = (17.0 if rib < 6 else 12.0, y - 1, z)
        dip = (0, 0, 0, 2, 8, 16, 26)[rib - 1]
    else:
        upper = cartilage_path(rib - 1)
        end = upper[len(upper) // 3]
        dip = 6
    x, halfway, z = (float((a + b) / 2) for a, b in zip(start, end, strict=True))
    x, y = wall_point(float(np.degrees(np.arctan2(x, -(halfway - 42)))), z - dip)
    return smooth_path([start, (x, max(y, halfway), z - dip), end], 7)


def rib(index: int) -> Shape:
    """A right rib: a flat bow, tall and thin."""
    path = rib_path(index)
    size = 4.6 if index in (1, 12) else 5.8
    radii = spread((size * 0.8, size, size, size * 1.1, size), len(path))
    return tube(path, radii, wide=(0, 0.35, 1), flatten=0.62, reach=6)


def paint_ribcage(canvas: Canvas, patient: Patient) -> None:
    """Ribs, cartilages (calcified with a chance) and sternum."""
    from vista3d.phantom.combine import mirror

    calcified = float(patient.stream("cartilage").uniform(0, 120)) * (patient.bone < 1)
    cartilage = shelled(patient.hu("cartilage") + calcified, patient.hu("cartilage"), 1.5)
    costal = number("costal cartilages")
    for index in range(1, 11):
        shape = tube(cartilage_path(index), 6.8, wide=(0, 0.4, 1), flatten=0.7, reach=6)
        canvas.paint(shape, cartilage, costal)
        canvas.paint(mirror(shape), cartilage, costal)
    paint = shelled(patient.hu("rib"), patient.hu("thin spongiosa"), 1.6)
    for index in range(1, 13):
        for s, label in both(f"rib {index}"):
            shape = rib(index)
            canvas.paint(shape if s > 0 else mirror(shape), paint, label)
    widths = (24, 21, 15, 17, 17, 11)
    path = smooth_path(STERNUM, 7)
    sternum = tube(path, spread(widths, len(path)), wide=(1, 0, 0), flatten=0.33)
    canvas.paint(
        sternum, shelled(patient.hu("rib") * 0.6, patient.hu("thin spongiosa") * 0.8, 1.4),
        number("sternum"),
    )  # fmt: skip
