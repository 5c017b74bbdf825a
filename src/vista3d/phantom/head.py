"""A plain head: skull with brain, facial bones, air spaces, C1 and C2, mandible without label.

Calvaria 6-7 mm thick, brain 1450 mL (ICRP 89), grey and white matter together 34 HU. The face is
coarse: it is there so that neck scans end like real ones. The mandible stays unlabelled: it is one
of the structures that this project never trains by name.
"""

from __future__ import annotations

import numpy as np

from vista3d.phantom.canvas import Canvas, shelled
from vista3d.phantom.combine import grow, intersection, smooth_tube, subtract, union
from vista3d.phantom.ids import number
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Array, Shape, ellipsoid, region, tube
from vista3d.phantom.texture import Grain


def outline() -> Shape:
    """The head without skin: braincase, face and jaw, blending into the neck."""
    return union(
        ellipsoid((0, 78, 496), (74, 92, 82)),
        ellipsoid((0, 118, 440), (56, 56, 62)),
        tube([(0, 58, 380), (0, 66, 450)], [54, 62], reach=80),
        tube([(0, 172, 446), (0, 184, 436)], [9, 9], reach=80),
        blend=25,
    )


def braincase() -> Shape:
    """The inside of the skull."""
    return intersection(
        ellipsoid((0, 78, 496), (66, 84, 74)),
        region(lambda x, y, z: 446 + 0.16 * (y - 60) - z),
        blend=14,
    )


def skull() -> Shape:
    """Calvaria, skull base and upper face."""
    inside = braincase()
    face = union(
        *(
            union(
                smooth_tube([(s * 48, 132, 470), (s * 60, 112, 452), (s * 66, 86, 446)], [8, 5, 6]),
                tube([(s * 30, 158, 482), (s * 44, 142, 462)], 6.0),
                tube([(s * 12, 160, 470), (s * 24, 154, 424)], [6, 8]),
                ellipsoid((s * 60, 66, 436), (10, 12, 20)),
            )
            for s in (-1, 1)
        ),
        smooth_tube([(-28, 120, 418), (-18, 152, 416), (18, 152, 416), (28, 120, 418)], [7] * 4),
    )
    return union(subtract(grow(inside, 6.5), inside), face, blend=4)


def mandible() -> Shape:
    """Lower jaw."""
    half = [
        union(
            smooth_tube([(0, 156, 392), (s * 24, 146, 392), (s * 44, 110, 394), (s * 48, 92, 402)],
                        [10, 9, 8, 7], wide=(0, 0, 1), flatten=0.6),
            tube([(s * 48, 92, 402), (s * 52, 82, 446)], [9, 5], wide=(0, 1, 0), flatten=0.5),
        )
        for s in (-1, 1)
    ]  # fmt: skip
    return union(*half)


def cavities() -> Shape:
    """Pharynx, nasal cavity, sinuses and the ear cells."""
    return union(
        smooth_tube([(0, 80, 386), (0, 84, 420), (0, 96, 446), (0, 130, 448), (0, 165, 436)],
                    [8, 8, 8, 9, 6], wide=(1, 0, 0), flatten=0.6),
        *(ellipsoid((s * 30, 132, 444), (12, 15, 15)) for s in (-1, 1)),
        *(ellipsoid((s * 60, 64, 440), (6, 8, 10)) for s in (-1, 1)),
        ellipsoid((0, 100, 458), (11, 11, 8)),
    )  # fmt: skip


def first_vertebrae() -> dict[str, Shape]:
    """Atlas ring and axis with its tooth."""
    atlas = union(
        smooth_tube([(-20, 62, 410), (0, 76, 411), (20, 62, 410)], [6, 5, 6]),
        smooth_tube([(-20, 60, 409), (0, 26, 408), (20, 60, 409)], [6, 4.5, 6]),
        *(tube([(s * 20, 60, 410), (s * 37, 56, 409)], [7, 4]) for s in (-1, 1)),
    )
    axis = union(
        ellipsoid((0, 60, 391), (13, 10, 9)),
        tube([(0, 61, 394), (0, 65, 412)], [6, 5]),
        smooth_tube([(-15, 58, 391), (0, 26, 388), (15, 58, 391)], [6, 6, 6]),
        tube([(0, 28, 388), (0, 14, 384)], 5.0),
    )
    return {"vertebrae C1": atlas, "vertebrae C2": axis}


def paint_head(canvas: Canvas, patient: Patient, noise: Grain) -> None:
    """Bone, brain and air inside an outline that is already painted as muscle."""
    fat, dense, spongy = patient.hu("fat"), patient.hu("cortex"), patient.hu("spongiosa")
    inside = braincase()
    for s in (-1, 1):
        canvas.paint(ellipsoid((s * 44, 128, 420), (16, 22, 24)), fat, opacity=0.8)
        canvas.paint(ellipsoid((s * 33, 140, 474), (19, 22, 17)), fat)
    canvas.paint(skull(), shelled(dense * 1.2, spongy * 2, 2.0), number("skull"))

    def brain(distance: Array, x: Array, y: Array, z: Array) -> Array:
        # Sulci near the surface, ventricles in the middle.
        fluid = np.clip(noise(x, y, z, 8) - 1.0, 0, 1) * np.clip(1 + distance / 18, 0, 1)
        return np.asarray(35 - 25 * fluid, np.float32)

    canvas.paint(inside, patient.hu("thecal fluid"))
    canvas.paint(grow(inside, -2.5), brain, number("brain"))
    for s in (-1, 1):
        canvas.paint(
            smooth_tube([(s * 8, 112, 506), (s * 11, 78, 516), (s * 20, 48, 504)], [5, 6, 4]),
            patient.hu("thecal fluid"),
        )
        canvas.paint(ellipsoid((s * 33, 146, 474), (12, 12, 12)), patient.hu("gut fluid"))
    canvas.paint(mandible(), shelled(dense * 1.3, spongy * 2, 2.5))
    canvas.paint(cavities(), patient.hu("gas"))
    for name, shape in first_vertebrae().items():
        canvas.paint(shape, shelled(dense, spongy * 1.5, 1.8), number(name))
