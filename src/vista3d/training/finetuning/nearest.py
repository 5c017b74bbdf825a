"""Where a new row of the class table starts: at the known class that tells it apart best."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import plain_patch
from vista3d.training.data.prepared import Prepared
from vista3d.training.precision import mixed

PATCHES = 4
"""Scans that are looked at."""

ROWS = "class_head.class_embeddings.weight"


def nearest_class(
    model: Vista3D, class_id: int, known: Sequence[int], cases: Sequence[Prepared], patch: int
) -> int | None:
    """The known class whose logit separates a new structure from what is around it most clearly.

    That is measured by the distance of the mean logits inside and outside in standard deviations
    (d'), which does not depend on whether the class is found at all: of a jaw, a vertebra's logit
    may be below 0 everywhere and still be highest in the bone.

    Args:
        model: eval mode.
        class_id: of the new structure in the cases.
        known: ids to choose from.
        cases: some of them with the structure.
        patch: voxels per side.

    Returns:
        None without known classes, or where no case has the structure.
    """
    shown = [case for case in cases if class_id in case.locations][:PATCHES]
    if not known or not shown:
        return None
    scores = [_separation(model, case, class_id, known, patch) for case in shown]
    return known[int(torch.stack(scores).mean(0).argmax())]


def _separation(
    model: Vista3D, case: Prepared, class_id: int, known: Sequence[int], size: int
) -> Tensor:
    """d' of every known class [K] in the patch around the structure."""
    patch = plain_patch(case, class_id, size)
    device = next(model.parameters()).device
    inside = (patch.labels == class_id).flatten().to(device)
    with torch.no_grad():
        with mixed(device):
            features = model.auto_features(patch.window(device))
        table = model.class_table(torch.tensor(list(known), device=device)).float()
        logits = table @ features.float().flatten(2)[0]
    within, around = logits[:, inside], logits[:, ~inside]
    spread = torch.sqrt(within.var(1, correction=0) + around.var(1, correction=0) + 1e-6)
    return (within.mean(1) - around.mean(1)) / spread


def with_row(weights: dict[str, Tensor], class_id: int, source: int) -> dict[str, Tensor]:
    """Weights in which the row of a class is a copy of another one's."""
    rows = weights[ROWS].clone()
    rows[class_id] = rows[source]
    return {**weights, ROWS: rows}
