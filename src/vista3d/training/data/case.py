"""A scan, and what its labels state.

A class that a case does not annotate is unknown there, never background, unless the body region
proves it absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vista3d import anatomy
from vista3d.errors import InputError


@dataclass(frozen=True)
class DataSource:
    """How one data set takes part in training.

    Attributes:
        name: unique in the corpus; with nnU-Net raw data the folder's name.
        weight: share of training patches; 0: never trained on.
        variation: how much the anatomy of its patches is varied, 0 to 1 (`training.augmentation`):
            a few scans must stand for many patients, many need not.
        complete: an annotated class without voxels is absent from the scan. False where it only
            means that nobody drew it.
        absent: global ids that cannot occur in this body region; safe negatives.
        mirror: whether patches may be mirrored, as far as the labels say: not where a class without
            a partner lies on one side only.
        anywhere: share of the patches that are cut out anywhere, not around a labelled structure.
        intensity: what `volume.A_MIN` and `A_MAX` HU are in the unit of the scans; None: HU.
        head: global ids that may occur from the lowest plane of a drawn brain stem upwards; no
            other class does. Empty: nothing is concluded from a brain stem.
        licence: of the data, where it is stated.
    """

    name: str
    weight: float = 1.0
    variation: float = 1.0
    complete: bool = True
    absent: frozenset[int] = frozenset()
    head: frozenset[int] = frozenset()
    mirror: bool = True
    anywhere: float = 0.1
    intensity: tuple[float, float] | None = None
    licence: str = ""


@dataclass(frozen=True)
class PseudoLabel:
    """A teacher's label map that passed the reliability filter.

    Attributes:
        path: label map in global ids, on the scan's grid.
        classes: global ids whose extent it states, but for those that the annotator drew.
    """

    path: Path
    classes: frozenset[int]


@dataclass(frozen=True)
class Case:
    """One scan of a data set.

    Attributes:
        name: case identifier, unique in its data set.
        patient: whose scan it is; splits are by patient.
        source: the data set it belongs to.
        image: CT file, or None for a label map without its CT.
        label: label file, or None where only a teacher labelled the scan.
        mapping: local label value -> global class id; other values are background.
        annotated: global ids whose extent the label file states.
        pseudo: a teacher's labels for classes that the annotator did not judge.
        supervoxels: file of supervoxel ids on the scan's grid, 0 = none.
    """

    name: str
    patient: str
    source: DataSource
    image: Path | None
    label: Path | None
    mapping: Mapping[int, int]
    annotated: frozenset[int]
    pseudo: PseudoLabel | None = None
    supervoxels: Path | None = None

    @property
    def judged(self) -> frozenset[int]:
        """Classes that the annotator speaks for whatever is drawn: a teacher is not asked for them.

        Where a structure without a voxel was not drawn, no class: which ones are drawn is seen in
        the label file.
        """
        return self.annotated if self.source.complete else frozenset()

    @property
    def may_be_mirrored(self) -> bool:
        """Not where its data set, or the teacher in this scan, knows an organ of one side."""
        taught = frozenset[int]() if self.pseudo is None else self.pseudo.classes
        return self.source.mirror and anatomy.one_sided().isdisjoint(taught)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files it is made of, in a fixed order."""
        pseudo = None if self.pseudo is None else self.pseudo.path
        parts = (self.image, self.label, pseudo, self.supervoxels)
        return tuple(part for part in parts if part is not None)


def to_global(labels: np.ndarray, mapping: Mapping[int, int]) -> np.ndarray:
    """Local label values -> global ids (int16); unlisted become background.

    Raises:
        InputError: a negative value, which would be counted from the end.
    """
    if labels.min(initial=0) < 0:
        msg = f"label {labels.min()} is negative: write the label map as unsigned integers"
        raise InputError(msg)
    beyond = max(mapping, default=0) + 1
    table = np.zeros(beyond + 1, np.int16)
    for local, global_id in mapping.items():
        table[local] = global_id
    return np.asarray(table[np.minimum(labels, beyond)])
