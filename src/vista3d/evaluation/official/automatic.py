"""`val_multigpu_point_patch`, val_auto: true (facts 5.1): the published "auto" column.

Every class is thresholded by itself, without argmax, so that structures may overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vista3d.evaluation.answer import Answer
from vista3d.evaluation.case import Target
from vista3d.evaluation.official.grid import cropped_volume, embedded
from vista3d.evaluation.official.lesions import with_lesion, without_lesions
from vista3d.evaluation.scan import Scan


def automatic(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """All classes of the data set at the paper's overlap; back by nearest voxel."""
    cropped, box = cropped_volume(scan.volume)
    prompts = [class_id for class_id in scan.case.prompts if class_id in scan.known]
    masks = scan.model.segment(cropped, prompts, preset="paper", output="masks").masks or {}
    found = with_lesion(scan, targets)
    own = [embedded(masks[target.class_id or 0], box, scan.volume) for target in found]
    scored = without_lesions(scan, found, own)[: len(targets)]
    for target, mask in zip(targets, scored, strict=True):
        yield Answer(target, 0, 0, mask)
