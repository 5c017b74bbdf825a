"""Dice of a network in training on held-out patches, with a picture to look at.

Quick enough to run every few hundred steps: patches, not scans. Figures for a model card come from
whole scans on their own grids (`vista3d evaluate`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import Patch, plain_patch
from vista3d.training.data.prepared import Prepared
from vista3d.training.learner import point_feature
from vista3d.training.points import click_rounds
from vista3d.training.precision import mixed
from vista3d.training.recipe import AutoStage, PointStage
from vista3d.training.sampler import ClickBatch, Target

PATCHES = 12
"""Held-out patches, each around another class as far as there are classes."""

CLICKS = 5

SMALLEST = 12
"""Voxels of the smallest object that is clicked on."""


def validate(
    model: Vista3D, stage: AutoStage | PointStage, cases: list[Prepared], picture: Path
) -> dict[str, float]:
    """Mean Dice over the classes of held-out patches.

    Args:
        model: eval mode.
        stage: decides the branch and the size of the patch.
        cases: held out; those without an image do not count.
        picture: PNG to write: a patch a column; truth green, found red, both yellow.

    Returns:
        "validation" for class prompts; "validation_1" and "validation_5" after so many clicks.
    """
    rows, tiles = [], []
    with torch.no_grad():
        for number, (case, class_id) in enumerate(_chosen(cases)):
            patch = plain_patch(case, class_id, stage.patch)
            if isinstance(stage, AutoStage):
                scores, found = _classes(model, patch, class_id)
            else:
                scores, found = _clicks(model, stage, patch, class_id, number)
            rows.append(scores)
            tiles.append(_tile(patch, patch.labels == class_id, found))
    if not rows:
        return {}
    Image.fromarray(np.concatenate(tiles, 1)).save(picture)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _chosen(cases: list[Prepared]) -> list[tuple[Prepared, int]]:
    """Cases in turn, each with the annotated class that came up least often so far."""
    pool = [case for case in cases if case.image is not None]
    count: dict[int, int] = {}
    chosen: list[tuple[Prepared, int]] = []
    for number in range(PATCHES if pool else 0):
        case = pool[number % len(pool)]
        classes = sorted(set(case.locations) & case.annotated, key=lambda i: (count.get(i, 0), i))
        if not classes:
            continue
        count[classes[0]] = count.get(classes[0], 0) + 1
        same = (other is case and i == classes[0] for other, i in chosen)
        if not any(same):  # it would be the same patch again
            chosen.append((case, classes[0]))
    return chosen


def _classes(model: Vista3D, patch: Patch, class_id: int) -> tuple[dict[str, float], Tensor]:
    device = next(model.parameters()).device
    with mixed(device):
        features = model.auto_features(patch.window(device))
    vector = model.class_table(torch.tensor([class_id], device=device))[0].float()
    found = (torch.einsum("f,fxyz->xyz", vector, features[0].float()) > 0).cpu()
    return {"validation": _dice(found, patch.labels == class_id)}, found


def _clicks(
    model: Vista3D, stage: PointStage, patch: Patch, class_id: int, seed: int
) -> tuple[dict[str, float], Tensor]:
    feature = point_feature(model, patch)
    low = (stage.patch - stage.window) // 2
    box = (slice(low, low + stage.window),) * 3
    mask = patch.labels[box] == class_id
    nothing = torch.zeros_like(patch.labels, dtype=torch.bool)
    if int(mask.sum()) < SMALLEST:
        return {"validation_1": 0.0, f"validation_{CLICKS}": 0.0}, nothing
    batch = ClickBatch.of([Target(mask, novel=False)], feature.device)
    done = click_rounds(model, feature[(..., *box)], batch, CLICKS, np.random.default_rng(seed))
    nothing[box] = done.mask.cpu()
    return {"validation_1": done.dice[0], f"validation_{CLICKS}": done.dice[-1]}, nothing


def _dice(found: Tensor, truth: Tensor) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp_min(1))


def _tile(patch: Patch, truth: Tensor, found: Tensor) -> np.ndarray:
    """The axial plane with most of the truth, uint8 [rows, columns, 3]; three pixels a voxel."""
    plane = int(truth.sum((0, 1)).argmax())
    grey = ((patch.hu[:, :, plane].clamp(-160, 240) + 160) / 400 * 255).byte()
    picture = grey[..., None].repeat(1, 1, 3)
    for channel, mask in ((0, found), (1, truth)):
        picture[..., channel][mask[:, :, plane]] = 255
    # Columns run to the patient's left, rows to the back: the radiological view.
    turned = picture.flip(0, 1).transpose(0, 1).numpy()
    return np.asarray(turned.repeat(3, 0).repeat(3, 1))
