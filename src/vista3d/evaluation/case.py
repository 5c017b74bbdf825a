"""What is evaluated: a scan, its truth, and what the truth states; plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Target:
    """One structure of a data set.

    Attributes:
        name: global name where there is one, else the data set's own.
        class_id: global id, or None: no class of any model.
        values: of the label file; several mean their union.
        absence: whether no voxel means "not in the scan". False: it means "not drawn", and a scan
            without a voxel says nothing about the structure.
    """

    name: str
    class_id: int | None
    values: tuple[int, ...]
    absence: bool = True


@dataclass(frozen=True)
class EvaluationCase:
    """One scan with its truth.

    Attributes:
        dataset: name of the data set.
        name: of the case, unique in its data set.
        patient: whose scan it is; intervals resample patients.
        image: CT file.
        label: label file on the grid of the scan.
        targets: what the label file states. Partial labels: a structure that is not among them is
            unknown in this scan, and neither asked for nor scored.
        prompts: global ids that the data set annotates in any scan: what an automatic run is asked
            for unless that is everything. They do not depend on the scan, and say nothing about it.
        others: what the label file states besides, and is not evaluated. Released rules look at
            the lesions of an organ.
    """

    dataset: str
    name: str
    patient: str
    image: Path
    label: Path
    targets: tuple[Target, ...]
    prompts: tuple[int, ...]
    others: tuple[Target, ...] = ()


def mask_of(labels: np.ndarray, target: Target) -> np.ndarray:
    """Bool [i, j, k] of a target."""
    if len(target.values) == 1:
        return np.asarray(labels == target.values[0])
    return np.isin(labels, target.values)
