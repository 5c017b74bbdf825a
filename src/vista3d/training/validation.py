"""Dice of a network in training on held-out cases, with a picture to look at.

Quick enough to run every few hundred steps. Class prompts are measured on whole scans, on the
model's grid, since the patches around an object hide what is found elsewhere: fine-tuned on five
scans, the weights that were best around the mandible (0.82) were 0.38 on a whole scan, with half of
the forehead. Clicks are measured on patches. Figures for a model card come from the scans' own
grids (`vista3d evaluate`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vista3d import anatomy
from vista3d.inference.automatic import pad_patch
from vista3d.inference.windows import WindowGrid
from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import Patch, plain_patch
from vista3d.training.data.prepared import Prepared
from vista3d.training.learner import point_feature
from vista3d.training.points import click_rounds
from vista3d.training.precision import mixed
from vista3d.training.recipe import AutoStage, PointStage
from vista3d.training.sampler import ClickBatch, Target, whole
from vista3d.volume import normalise

PATCHES = 12
"""Held-out patches to click in, each around another class as far as there are classes."""

BODY = -500
"""HU: a window with nothing above is air, and nothing is found there."""

OVERLAP = 0.25
"""Of the windows of a scan: no voxel lies nearer to the border of its window than an eighth of it,
but for those at the border of the scan."""

CLICKS = 5

SMALLEST = 12
"""Voxels of the smallest object that is clicked on."""


def validate(
    model: Vista3D, stage: AutoStage | PointStage, cases: list[Prepared], picture: Path
) -> dict[str, float]:
    """Mean Dice over the classes of held-out patches.

    Args:
        model: eval mode.
        stage: decides the branch, the size of the patch, and how many scans are measured.
        cases: held out; those without an image do not count, nor such that show no class.
        picture: PNG to write: a patch a column; truth green, found red, both yellow.

    Returns:
        "validation" for class prompts; "validation_1" and "validation_5" after so many clicks.
    """
    pool = [case for case in cases if case.image is not None]
    with torch.no_grad():
        if isinstance(stage, AutoStage):
            rows, tiles = _prompted(model, stage, _measured(pool, stage.validate_scans))
        else:
            rows, tiles = _clicked(model, stage, pool)
    if not rows:
        return {}
    Image.fromarray(np.concatenate(tiles, 1)).save(picture)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


Rows = tuple[list[dict[str, float]], list[np.ndarray]]
"""Scores of each object, and pictures."""


def shown(case: Prepared) -> frozenset[int]:
    """The classes that a scan shows, and that can be measured on it."""
    return frozenset(case.locations) & case.annotated


def _measured(cases: list[Prepared], count: int) -> list[Prepared]:
    """So many scans that show something: first those with a class that none before them shows."""
    seen: set[int] = set()
    first, rest = list[Prepared](), list[Prepared]()
    for case in cases:
        classes = shown(case)
        if classes:
            (first if classes - seen else rest).append(case)
        seen |= classes
    return [*first, *rest][:count]


def _prompted(model: Vista3D, stage: AutoStage, cases: list[Prepared]) -> Rows:
    """Every class of whole scans; pictured around one of them."""
    rows, tiles = list[dict[str, float]](), []
    for case in cases:
        scores = scan_dice(model, case, stage.patch)
        rows += [{"validation": dice} for dice in scores.values()]
    for case, class_id in _chosen(cases):
        patch = plain_patch(case, class_id, stage.patch)
        found = _found(model, patch.window(_device(model)), [class_id])[0]
        tiles.append(_tile(patch, patch.labels == class_id, found))
    return rows, tiles


def _clicked(model: Vista3D, stage: PointStage, cases: list[Prepared]) -> Rows:
    """One object of each patch."""
    rows, tiles = [], []
    for number, (case, class_id) in enumerate(_chosen(cases)):
        patch = plain_patch(case, class_id, stage.patch)
        truth = whole(patch.labels, class_id)
        target = Target(truth, novel=False, special=class_id in anatomy.SPECIAL)
        scores, found = _clicks(model, stage, patch, target, number)
        rows.append(scores)
        tiles.append(_tile(patch, truth, found))
    return rows, tiles


def scan_dice(model: Vista3D, case: Prepared, size: int) -> dict[int, float]:
    """Dice of each class that is drawn in a whole scan, on the model's grid; no competition.

    Each voxel belongs to the window whose centre is nearest, and nothing is blended: a little worse
    than in use, and several times as quick. Far from a centre little is found: where the first
    window that covers a voxel had it, from five scans the larynx of the held-out one had 0.000 in
    every validation, and in use 0.49.

    Args:
        model: eval mode.
        case: with an image.
        size: of a window, voxels per side.
    """
    assert case.image is not None
    ids = sorted(shown(case))
    counts = torch.zeros(3, len(ids), dtype=torch.int64)
    i, j, k = case.labels.shape
    grid = WindowGrid.over((i, j, k), (size,) * 3, OVERLAP, "even")
    for start in grid.starts if ids else ():
        box, local = grid.inside(start)
        own, central = grid.nearest(start)
        hu = case.image[box]
        truth = torch.from_numpy(case.labels[own].astype(np.int64))
        masks = torch.stack([truth == class_id for class_id in ids])
        counts[0] += masks.flatten(1).sum(1)
        if hu.max() < BODY:
            continue
        window = pad_patch(hu.astype(np.float32), local, grid.window, "air")
        seen = torch.from_numpy(normalise(window))[None, None].to(_device(model))
        found = _found(model, seen, ids)[(slice(None), *central)]
        counts[1] += found.flatten(1).sum(1)
        counts[2] += (found & masks).flatten(1).sum(1)
    drawn, marked, both = counts.double()
    dice = 2 * both / (drawn + marked).clamp_min(1)
    return dict(zip(ids, dice.tolist(), strict=True))


def _chosen(cases: list[Prepared]) -> list[tuple[Prepared, int]]:
    """Cases in turn, each with the annotated class that came up least often so far."""
    count: dict[int, int] = {}
    chosen: list[tuple[Prepared, int]] = []
    for number in range(PATCHES if cases else 0):
        case = cases[number % len(cases)]
        classes = sorted(shown(case), key=lambda i: (count.get(i, 0), i))
        if not classes:
            continue
        count[classes[0]] = count.get(classes[0], 0) + 1
        same = (other is case and i == classes[0] for other, i in chosen)
        if not any(same):  # it would be the same patch again
            chosen.append((case, classes[0]))
    return chosen


def _found(model: Vista3D, window: Tensor, ids: list[int]) -> Tensor:
    """Bool [K, H, W, D], where the logit of a class is above 0, on the CPU."""
    with mixed(window.device):
        features = model.auto_features(window)
    table = model.class_table(torch.tensor(ids, device=window.device)).float()
    return (torch.einsum("kf,fxyz->kxyz", table, features[0].float()) > 0).cpu()


def _device(model: Vista3D) -> torch.device:
    return next(model.parameters()).device


def _clicks(
    model: Vista3D, stage: PointStage, patch: Patch, target: Target, seed: int
) -> tuple[dict[str, float], Tensor]:
    feature = point_feature(model, patch)
    low = (stage.patch - stage.window) // 2
    box = (slice(low, low + stage.window),) * 3
    inside = replace(target, mask=target.mask[box])
    nothing = torch.zeros_like(target.mask)
    if int(inside.mask.sum()) < SMALLEST:
        return {"validation_1": 0.0, f"validation_{CLICKS}": 0.0}, nothing
    batch = ClickBatch.of([inside], feature.device)
    done = click_rounds(model, feature[(..., *box)], batch, CLICKS, np.random.default_rng(seed))
    nothing[box] = done.mask.cpu()
    return {"validation_1": done.dice[0], f"validation_{CLICKS}": done.dice[-1]}, nothing


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
