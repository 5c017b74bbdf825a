"""Shoulder girdle, hip bones and femora, with the muscles around them.

Dimensions after ICRP 89 and standard osteometry: femoral head 46-48 mm wide, humeral head 46 mm,
clavicle 145 mm long, iliac wing 5-8 mm thick, acetabula about 180 mm apart.
"""

from __future__ import annotations

from vista3d.phantom.canvas import Canvas, shelled
from vista3d.phantom.combine import grow, intersection, mirror, smooth_tube, subtract, union
from vista3d.phantom.ids import both
from vista3d.phantom.patient import Patient
from vista3d.phantom.shapes import Shape, ellipsoid, plate, region, tube

FEMORAL_HEAD = (88.0, 28.0, -256.0)

_ASIS = (118.0, 78.0, -152.0)
_CREST = (134.0, 34.0, -112.0)
_CREST_BACK = (100.0, -22.0, -116.0)
_PSIS = (48.0, -56.0, -160.0)
_SCIATIC = (48.0, -30.0, -208.0)
_SOCKET = (88.0, 28.0, -226.0)


def _pair(canvas: Canvas, shape: Shape, name: str, hu: object) -> None:
    for s, label in both(name):
        canvas.paint(shape if s > 0 else mirror(shape), hu, label)  # type: ignore[arg-type]


def hip() -> Shape:
    """Right hip bone: iliac wing, socket, pubis and ischium."""
    wing = union(
        plate([_ASIS, _CREST, _SOCKET], 4.6),
        plate([_CREST, _CREST_BACK, _SOCKET], 4.2),
        plate([_CREST_BACK, _PSIS, _SCIATIC], 6.0),
        plate([_CREST_BACK, _SCIATIC, _SOCKET], 5.0),
        smooth_tube([_ASIS, _CREST, (124, 6, -108), _CREST_BACK, (72, -46, -134), _PSIS],
                    [6.5, 6, 6, 6.5, 8, 9]),
        tube([_ASIS, (104, 72, -196), _SOCKET], [6, 8, 14]),
        blend=6,
    )  # fmt: skip
    socket = ellipsoid(FEMORAL_HEAD, (33, 33, 33))
    lower = union(
        smooth_tube([(78, 44, -246), (52, 66, -258), (12, 80, -276)], [13, 9, 10]),
        smooth_tube([(10, 80, -282), (30, 52, -308), (58, 10, -318)], [8, 6, 9]),
        smooth_tube([(80, 14, -252), (70, -4, -286), (62, 0, -318)], [17, 15, 14]),
        blend=5,
    )
    ball = ellipsoid(FEMORAL_HEAD, (25.5, 25.5, 25.5))
    # The socket opens sideways, forwards and down.
    opening = region(lambda x, y, z: x - 100 + 0.3 * (y - 28) - 0.4 * (z + 256))
    cup = intersection(socket, opening, blend=3)
    return subtract(union(wing, cup, lower, blend=5), ball)


def femur() -> Shape:
    """Right femur: head, neck, greater trochanter and the top of the shaft."""
    return union(
        ellipsoid(FEMORAL_HEAD, (23.5, 23.5, 23.5)),
        tube([FEMORAL_HEAD, (120, 16, -280)], [15, 15]),
        smooth_tube([(134, 4, -264), (130, 8, -288), (120, 18, -330), (112, 24, -440)],
                    [14, 18, 16, 14.5]),
        blend=8,
    )  # fmt: skip


def scapula() -> Shape:
    """Right shoulder blade: plate, spine, acromion, socket and coracoid process."""
    upper, lower, socket = (78.0, -24.0, 272.0), (112.0, -46.0, 148.0), (128.0, 14.0, 254.0)
    return union(
        plate([upper, lower, (88, -52, 232)], 2.6),
        plate([upper, lower, socket], 2.8),
        smooth_tube([(88, -50, 236), (112, -46, 258), (138, -22, 272), (150, 10, 280)],
                    [4, 5, 6, 7]),
        smooth_tube([upper, (86, -50, 226), lower], [3.5, 4, 5]),
        tube([lower, socket], [6, 9]),
        ellipsoid(socket, (9, 14, 18)),
        smooth_tube([(122, 18, 268), (120, 44, 272), (128, 58, 264)], [6, 5, 5]),
        blend=4,
    )  # fmt: skip


def clavicle() -> Shape:
    """Right collar bone, S-shaped."""
    return smooth_tube(
        [(14, 92, 248), (50, 90, 262), (96, 56, 276), (144, 24, 286)], [10, 6.5, 6, 7.5]
    )


def humerus(patient: Patient) -> Shape:
    """Right upper arm bone; raised or beside the body."""
    head = (152.0, 22.0, 258.0)
    if patient.arms_up:
        shaft = smooth_tube([head, (170, 32, 288), (188, 46, 440)], [17, 14, 11.5])
    else:
        shaft = smooth_tube([(158, 18, 246), (180, 12, 200), (206, 10, -20)], [19, 13, 11.5])
    return union(ellipsoid(head, (24, 24, 24)), shaft, blend=6)


def psoas() -> Shape:
    """Right iliopsoas: along the lumbar spine, over the pelvic brim to the lesser trochanter."""
    strand = smooth_tube(
        [(27, 14, -4), (36, 22, -40), (44, 30, -85), (52, 34, -125), (64, 46, -170),
         (82, 66, -215), (94, 62, -260), (104, 22, -318)],
        [6, 12, 18, 21, 22, 21, 18, 9],
    )  # fmt: skip
    fan = union(
        plate([(108, 72, -156), (122, 34, -122), (84, 42, -212)], 6),
        plate([(122, 34, -122), (92, -8, -124), (78, 34, -212)], 5.5),
        blend=6,
    )
    return union(strand, fan, blend=10)


def gluteus(which: str) -> Shape:
    """A right buttock muscle."""
    if which == "maximus":
        slab = union(
            plate([(34, -54, -165), (30, -56, -255), (138, -16, -268)], 13),
            plate([(34, -54, -165), (96, -36, -150), (138, -16, -268)], 11),
            plate([(30, -56, -255), (138, -16, -268), (116, -22, -330)], 15),
            blend=14,
        )
        return slab
    if which == "medius":
        return union(
            plate([(122, 72, -166), (138, 30, -128), (134, 10, -256)], 13),
            plate([(138, 30, -128), (106, -30, -136), (134, 6, -256)], 13),
            blend=12,
        )
    return union(
        plate([(116, 72, -178), (128, 34, -160), (130, 24, -248)], 8),
        plate([(128, 34, -160), (106, 2, -176), (130, 20, -248)], 8),
        blend=8,
    )


def paint_limb_muscles(canvas: Canvas, patient: Patient) -> None:
    """Gluteal muscles and iliopsoas, each in its thin coat of fat; before the bones."""
    fat, muscle = patient.hu("fat"), patient.hu("muscle")
    for s in (-1, 1):
        # Quadratus lumborum, from the twelfth rib to the iliac crest; no class of its own.
        square = smooth_tube([(s * 52, -14, 22), (s * 62, -16, -40), (s * 74, -18, -122)],
                             [18, 22, 24], wide=(1, 0.3 * s, 0), flatten=0.5)  # fmt: skip
        canvas.paint(square, muscle)
    for name, coat in (("maximus", 3.5), ("medius", 2.5), ("minimus", 2.0)):
        shape = gluteus(name)
        for s in (-1, 1):
            coated = grow(shape if s > 0 else mirror(shape), coat)
            canvas.paint(coated, fat, opacity=0.75)
    for name in ("maximus", "medius", "minimus"):
        _pair(canvas, gluteus(name), f"gluteus {name}", muscle)
    shape = psoas()
    for s in (-1, 1):
        coated = grow(shape if s > 0 else mirror(shape), 2.5)
        canvas.paint(coated, patient.hu("visceral fat"), opacity=0.8)
    _pair(canvas, shape, "iliopsoas", muscle + 3)


def paint_limb_bones(canvas: Canvas, patient: Patient) -> None:
    """Hip bones, femora, shoulder blades, collar bones and upper arm bones."""
    dense, spongy = patient.hu("cortex"), patient.hu("spongiosa")
    flat = shelled(dense, spongy * 0.9, 2.0)
    _pair(canvas, hip(), "hip", flat)
    _pair(canvas, femur(), "femur", shelled(dense, spongy, 2.2))
    _pair(canvas, scapula(), "scapula", shelled(dense * 0.8, spongy, 1.6))
    _pair(canvas, clavicle(), "clavicula", shelled(dense, spongy * 0.8, 1.8))
    _pair(canvas, humerus(patient), "humerus", shelled(dense, spongy * 0.6, 2.2))
