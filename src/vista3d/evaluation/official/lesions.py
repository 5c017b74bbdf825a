"""Two published figures are of a difference (facts 5.1): an organ without the lesion in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from vista3d.evaluation.case import Target
from vista3d.evaluation.scan import Scan

ORGANS = {3: (1, 26), 7: (4, 24)}
"""Task of the Medical Segmentation Decathlon -> organ, and the lesion taken out of it: liver and
hepatic tumour, pancreas and pancreatic tumour."""


def with_lesion(scan: Scan, targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets, and last what must be found to be taken out of one: the lesion of an organ that
    is scored without it, where the model knows it and the run does not evaluate it."""
    organ, lesion = ORGANS.get(decathlon_task(scan.case.dataset), (None, None))
    if organ not in {target.class_id for target in targets} or lesion not in scan.known:
        return tuple(targets)
    return (*targets, *(other for other in scan.case.others if other.class_id == lesion))


def without_lesions(
    scan: Scan, targets: Sequence[Target], masks: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Masks of the targets, the organ of tasks 3 and 7 without its lesion.

    Args:
        scan: of a data set.
        targets: from `with_lesion`.
        masks: bool [i, j, k], one a target.
    """
    organ, lesion = ORGANS.get(decathlon_task(scan.case.dataset), (None, None))
    by_class = {target.class_id: mask for target, mask in zip(targets, masks, strict=True)}
    taken = by_class.get(lesion)
    return [
        mask & ~taken if taken is not None and target.class_id == organ else mask
        for target, mask in zip(targets, masks, strict=True)
    ]


def decathlon_task(dataset: str) -> int:
    """Number of a task, named as by its authors or by nnU-Net; 0 for any other data set."""
    found = re.fullmatch(r"Task0?(\d+)(_\w+)?|Dataset00(\d)_(Liver|Pancreas)", dataset)
    return int(found[1] or found[3]) if found else 0
