"""What lesions look like on CT: size, density and shape, with the source of each number.

Ranges bound what is drawn; they are not epidemiology. [n] names the source, listed below; "typical"
marks a range that radiologists would recognise but for which we cite nobody. Shares say how often a
kind is drawn for its organ, and are ours.

[1] Silverman et al., Bosniak classification version 2019, Radiology 2019;292:475: simple cysts are
    homogeneous, -9 to 20 HU; masses of 20 HU and more are not simple cysts.
[2] Pooler et al., Renal cell carcinoma on unenhanced CT, AJR 2012;198:1115: nearly all between 20
    and 70 HU.
[3] Young et al., Clear cell renal cell carcinoma on multiphasic CT, Radiology 2013;267:444:
    corticomedullary mean about 125 HU for clear cell, 54 for papillary carcinoma.
[4] Ulano et al., Distinguishing enostoses from osteoblastic metastases, AJR 2016;207:362: mean
    attenuation of untreated sclerotic metastases below 885 HU, of enostoses above.
[5] McNulty et al., Multidetector CT of the pancreas, Radiology 2001;220:97: adenocarcinoma darker
    than the pancreas, by more in the pancreatic than in the portal venous phase.
[6] Hansell et al., Fleischner Society glossary, Radiology 2008;246:697: a nodule is rounded and up
    to 3 cm; ground glass does not hide the vessels in it; part-solid nodules have both components.
[7] MacMahon et al., Fleischner Society 2017, Radiology 2017;284:228: the size classes of nodules.
[8] Chernyak et al., LI-RADS 2018, Radiology 2018;289:816: arterial hyperenhancement, washout and
    an enhancing capsule of hepatocellular carcinoma.
[9] Swensen et al., Lung nodule enhancement at CT, Radiology 2000;214:73: malignant solid nodules
    gain 15 HU and more.
"""

from __future__ import annotations

from vista3d.anatomy.table import SUPERCLASSES
from vista3d.training.synthetic.lesion_types import Density, LesionKind, Organ, Size, Zone

LUNG_TUMOR, PANCREATIC_TUMOR, HEPATIC_TUMOR, BONE_LESION = 23, 24, 26, 128
KIDNEY_CYSTS = {14: 116, 5: 117}
"""Kidney -> its cyst: left 116, right 117."""


_NECROSIS = Zone(chance=0.6, hu=(8, 30), extent=(0.4, 0.7), above=25)  # typical: near water

_LIVER = (
    LesionKind(
        "hypovascular metastasis",
        share=0.6,
        class_id=HEPATIC_TUMOR,
        size=Size(20, 0.5, 6, 80),  # typical
        # Typical: best seen in the portal venous phase, where the liver has gained 50 HU.
        density=Density((-30, -8), (-45, -15), (-75, -25), relative=True),
        texture=(3, 9),
        lobulation=(0.04, 0.12),
        edge=(0.5, 4),
        core=_NECROSIS,
        rim=Zone(chance=0.35, hu=(8, 25), extent=(1.5, 4), above=12),
        calcified=0.04,
    ),
    LesionKind(
        "hepatocellular carcinoma",
        share=0.4,
        class_id=HEPATIC_TUMOR,
        size=Size(30, 0.5, 10, 100),  # typical; LI-RADS counts from 10 mm on [8]
        # Arterial hyperenhancement, then washout [8]; the amounts are typical.
        density=Density((-20, -5), (15, 45), (-35, -8), relative=True),
        texture=(8, 18),
        lobulation=(0.05, 0.11),
        edge=(0.5, 3),
        core=_NECROSIS,
        rim=Zone(chance=0.4, hu=(10, 30), extent=(1, 2.5), above=15),  # capsule [8]
        calcified=0.05,
    ),
)
_KIDNEY = (
    LesionKind(
        "simple cyst",
        share=0.6,
        class_id=None,  # 116 or 117 by side
        size=Size(16, 0.55, 5, 60),  # typical
        density=Density((-5, 18), (-5, 18), (-5, 18)),  # [1]
        texture=(0, 1),
        lobulation=(0.0, 0.03),
        edge=(0, 0.5),
    ),
    LesionKind(
        "clear cell carcinoma",
        share=0.25,
        class_id=None,
        size=Size(32, 0.45, 10, 80),  # typical
        density=Density((25, 45), (90, 160), (75, 120)),  # [2], [3]
        texture=(10, 25),
        lobulation=(0.04, 0.1),
        edge=(0.3, 1.5),
        core=_NECROSIS,
        calcified=0.12,
    ),
    LesionKind(
        "papillary carcinoma",
        share=0.15,
        class_id=None,
        size=Size(28, 0.4, 10, 60),  # typical
        density=Density((25, 45), (42, 70), (50, 85)),  # [2], [3]
        texture=(3, 8),
        lobulation=(0.02, 0.07),
        edge=(0.3, 1.5),
        calcified=0.08,
    ),
)
_LUNG = (
    LesionKind(
        "solid nodule",
        share=0.35,
        class_id=LUNG_TUMOR,
        size=Size(9, 0.5, 3.5, 30),  # [6], [7]
        density=Density((15, 60), (25, 90), (25, 90)),  # typical; the gain after [9]
        texture=(3, 10),
        lobulation=(0.05, 0.13),
        edge=(0, 0.8),
        calcified=0.08,
    ),
    LesionKind(
        "spiculated tumour",
        share=0.25,
        class_id=LUNG_TUMOR,
        size=Size(22, 0.4, 10, 60),  # typical
        density=Density((15, 50), (30, 85), (30, 85)),
        texture=(5, 14),
        lobulation=(0.08, 0.16),
        edge=(0.3, 1.5),
        spicules=(30, 60),
        core=Zone(chance=0.3, hu=(0, 25), extent=(0.3, 0.55), above=30),
    ),
    LesionKind(
        "part-solid nodule",
        share=0.2,
        class_id=LUNG_TUMOR,
        size=Size(16, 0.4, 8, 35),  # typical
        density=Density((150, 330), (150, 330), (150, 330), relative=True),
        texture=(15, 35),
        lobulation=(0.08, 0.16),
        edge=(1, 3),
        fills_air=True,
        core=Zone(chance=1.0, hu=(-60, 40), extent=(0.35, 0.6)),  # the solid component [6]
    ),
    LesionKind(
        "ground-glass nodule",
        share=0.2,
        class_id=LUNG_TUMOR,
        size=Size(13, 0.4, 6, 30),  # typical
        # Typical: -750 to -450 HU in a lung of -860; vessels stay visible [6].
        density=Density((130, 370), (130, 370), (130, 370), relative=True),
        texture=(15, 35),
        lobulation=(0.08, 0.16),
        edge=(1.5, 4),
        fills_air=True,
    ),
)
_PANCREAS = (
    LesionKind(
        "ductal adenocarcinoma",
        share=1.0,
        class_id=PANCREATIC_TUMOR,
        size=Size(27, 0.35, 10, 55),  # typical
        density=Density((-12, 0), (-65, -25), (-40, -10), relative=True),  # [5]
        texture=(3, 9),
        lobulation=(0.06, 0.14),
        edge=(1, 4),
        core=Zone(chance=0.25, hu=(8, 25), extent=(0.3, 0.5), above=25),
        fit=1.5,  # the gland is thinner than its tumours: they fill it from side to side
    ),
)
_BONE = (
    LesionKind(
        "lytic metastasis",
        share=0.5,
        class_id=BONE_LESION,
        size=Size(15, 0.45, 5, 45),  # typical
        density=Density((20, 65), (35, 95), (35, 90)),  # typical: soft tissue
        texture=(5, 15),
        lobulation=(0.06, 0.14),
        edge=(0.3, 1.5),
        rim=Zone(chance=0.2, hu=(150, 350), extent=(1, 2)),
        fit=1.1,
    ),
    LesionKind(
        "sclerotic metastasis",
        share=0.5,
        class_id=BONE_LESION,
        size=Size(11, 0.45, 4, 35),  # typical
        density=Density((420, 850), (420, 850), (420, 850)),  # [4]
        texture=(30, 90),
        lobulation=(0.06, 0.15),
        edge=(1, 3),
        fit=1.1,
    ),
)

# Ribs and vertebrae, hips, sacrum, sternum, shoulder blades, long bones; no cartilage, no skull.
_BONES = (*range(33, 57), *range(63, 98), 122, 127)

ORGANS: dict[str, Organ] = {
    "liver": Organ(((1, 25),), _LIVER),
    "kidney": Organ(((5,), (14,)), _KIDNEY),
    "lung": Organ((SUPERCLASSES[20],), _LUNG),
    "pancreas": Organ(((4,),), _PANCREAS),
    "bone": Organ(tuple((i,) for i in _BONES), _BONE, least=100),
}
"""Organ -> where and what. Masses of the kidney keep the kidney's id: 129, "kidney mass", is in the
label dictionary but no published model was ever trained on it."""


def class_of(kind: LesionKind, site: tuple[int, ...]) -> int:
    """The id that a lesion's voxels get."""
    if kind.name == "simple cyst":
        return KIDNEY_CYSTS[site[0]]
    return site[0] if kind.class_id is None else kind.class_id
