"""Partially labelled data sets in nnU-Net raw layout, split by patient (paper section 3.3).

Every case knows which global classes it annotates. A class that a case does not annotate is
unknown there, never background, unless its body region proves it absent (`ABSENT`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vista3d import anatomy
from vista3d.errors import InputError

NOVEL = frozenset({"larynx", "mandible", "tumour"})
"""Structures kept for zero-shot figures: never a training target (data README)."""


IN_THE_HEAD = (
    "skull",
    "brain",
    "brain-stem",
    "spinal cord",
    "left parotid",
    "right parotid",
    "vertebrae C1",
    "vertebrae C2",
    "vertebrae C3",
    "left common carotid artery",
    "right common carotid artery",
)
"""What may occur above the lowest plane of the brain stem. No other class does."""


@dataclass(frozen=True)
class Source:
    """How one data set takes part in training.

    Attributes:
        folder: directory name inside the corpus.
        weight: share of training patches.
        complete: a listed class without voxels is absent from the scan. False for OpenKBP, where it
            only means that nobody drew it.
        absent: classes or groups that cannot occur in this body region; safe negatives.
        validation: share of patients held out.
    """

    folder: str
    weight: float
    complete: bool = True
    absent: tuple[str, ...] = ()
    validation: float = 0.0


SOURCES = (
    Source(
        "Dataset101_OpenKBP",
        weight=0.40,
        complete=False,
        # Head-and-neck scans end in the upper chest: nothing below the diaphragm is in view.
        absent=(
            "liver",
            "spleen",
            "left kidney",
            "right kidney",
            "pancreas",
            "gallbladder",
            "stomach",
            "duodenum",
            "small bowel",
            "colon",
            "bladder",
            "prostate",
            "left hip",
            "right hip",
            "left femur",
            "right femur",
            "sacrum",
            "vertebrae L1",
            "vertebrae L2",
            "vertebrae L3",
            "vertebrae L4",
            "vertebrae L5",
            "vertebrae T11",
            "vertebrae T12",
            "left iliopsoas",
            "right iliopsoas",
            "left gluteus maximus",
            "right gluteus maximus",
            "left gluteus medius",
            "right gluteus medius",
            "inferior vena cava",
            "left adrenal gland",
            "right adrenal gland",
            "portal vein and splenic vein",
            "left iliac artery",
            "right iliac artery",
            "left rib 11",
            "right rib 11",
            "left rib 10",
            "right rib 10",
        ),
        validation=0.2,
    ),
    Source(
        "Dataset103_TorsoPseudo",
        weight=0.37,
        # The neck and the head are outside every one of these scans.
        absent=("brain-stem", "left parotid", "right parotid"),
    ),
    Source(
        "Dataset105_LabelMaps", weight=0.23, absent=("brain-stem", "left parotid", "right parotid")
    ),
)


@dataclass(frozen=True)
class Case:
    """One scan of a data set.

    Attributes:
        name: case identifier, unique in the corpus.
        source: the data set it belongs to.
        image: CT file, or None for a label map without its CT.
        label: label file.
        mapping: local label value -> global class id; other values are background.
        annotated: global ids whose extent the label file states.
    """

    name: str
    source: Source
    image: Path | None
    label: Path
    mapping: dict[int, int]
    annotated: frozenset[int]

    @property
    def absent(self) -> frozenset[int]:
        """Global ids that this case's body region excludes."""
        return frozenset(anatomy.resolve(self.source.absent)) if self.source.absent else frozenset()


def is_validation(case: str, share: float, seed: int) -> bool:
    """Whether a patient is held out: a hash of the name, so adding cases moves nobody."""
    digest = hashlib.sha256(f"{seed}:{case}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def read_source(root: Path, source: Source, split: str, seed: int = 0) -> list[Case]:
    """Cases of one data set. `split` is "train" or "validation".

    Raises:
        InputError: the folder or its `dataset.json` is missing.
    """
    folder = root / source.folder
    description = folder / "dataset.json"
    if not description.is_file():
        msg = f"{description} is missing: point --data at a folder of nnU-Net raw data sets"
        raise InputError(msg)
    content = json.loads(description.read_text())
    labels = {k: v for k, v in content["labels"].items() if k not in NOVEL and v != 0}
    mapping = anatomy.dataset_ids(labels)
    cases = []
    for entry in content["cases"]:
        name = entry["case"]
        if is_validation(name, source.validation, seed) != (split == "validation"):
            continue
        image = folder / "imagesTr" / f"{name}_0000.nii.gz"
        label = folder / "labelsTr" / f"{name}.nii.gz"
        if not label.is_file():
            continue
        listed = entry.get("annotated", list(labels))
        annotated = anatomy.dataset_ids({k: labels[k] for k in listed if k in labels}).values()
        cases.append(
            Case(
                name=name,
                source=source,
                image=image if image.is_file() else None,
                label=label,
                mapping=mapping,
                annotated=frozenset(annotated),
            )
        )
    return sorted(cases, key=lambda case: case.name)


def to_global(labels: np.ndarray, mapping: dict[int, int]) -> np.ndarray:
    """Local label values -> global ids (int16); unlisted values become background."""
    table = np.zeros(int(labels.max(initial=0)) + 1, np.int16)
    for local, global_id in mapping.items():
        if local < len(table):
            table[local] = global_id
    return np.asarray(table[labels])
