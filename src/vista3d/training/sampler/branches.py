"""The five published branches: from a whole organ to a supervoxel without a name (facts 3.5).

Each is a pure function of a scene. It returns None where the scene has no such object, and the
chooser falls back to `regular`, as released. Numbers given there in voxels are volumes here: the
published grid has 1.5 mm voxels.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from vista3d import anatomy
from vista3d.training.sampler.morphology import attached, box_of, dilate, opened
from vista3d.training.sampler.scene import Scene
from vista3d.training.sampler.target import Target

PIECE = (0.1, 0.9)
"""Share of an organ that a part of it may have."""

ADDED = 0.1
"""Share of an organ that its neighbour must have."""

MERGED = 0.1
"""Share of a label inside a supervoxel above which it is merged."""

SMALLEST_NOVEL = 8000 * 1.5**3
"""mm^3 of the smallest supervoxel that is an object of its own: 8000 voxels of 1.5 mm = 27 mL,
1000 voxels of our 3 mm grid."""


def regular(scene: Scene, class_id: int) -> Target:
    """A whole structure under its own name; the only branch of a special class."""
    return Target(scene.whole(class_id), novel=False, special=class_id in anatomy.SPECIAL)


def part_of_organ(scene: Scene, class_id: int, rng: np.random.Generator) -> Target | None:
    """A supervoxel cuts an organ in two (organ_sub).

    Half of the time the piece is the object, and always zero-shot; else the rest is, and zero-shot
    half of the time. The other side needs a negative click.
    """
    whole = scene.whole(class_id)
    size = int(whole.sum())
    for piece_id in scene.candidates(scene.shared([class_id]) >= PIECE[0] * size, rng):
        piece = opened((scene.supervoxels == piece_id) & whole)
        if not PIECE[0] * size <= int(piece.sum()) <= PIECE[1] * size:
            continue
        rest = whole & ~piece
        if rng.random() < 0.5:
            return Target(piece, novel=True, negative=(rest,))
        return Target(rest, novel=bool(rng.random() < 0.5), negative=(piece,))
    return None


def organ_and_neighbour(scene: Scene, class_id: int, rng: np.random.Generator) -> Target | None:
    """An organ grows by the free part of a supervoxel that touches it (organ_add).

    Both parts need a positive click, in the added one at a height where the organ is.
    """
    whole = scene.whole(class_id)
    least = ADDED * int(whole.sum())
    free = scene.labels == 0
    rim = torch.unique(scene.supervoxels[dilate(whole) & free])
    touching = torch.isin(scene.pieces, rim) & (scene.shared([0]) >= least)
    for piece_id in scene.candidates(touching, rng):
        added = attached((scene.supervoxels == piece_id) & free, whole)
        if int(added.sum()) >= max(1.0, least):
            clicked = (_level_with(added, whole), whole)
            return Target(whole | added, novel=bool(rng.random() < 0.5), positive=clicked)
    return None


def unseen_supervoxel(
    scene: Scene, asked: Collection[int], rng: np.random.Generator
) -> Target | None:
    """The free part of a supervoxel, where it touches nothing that is asked for."""
    least = scene.voxels(SMALLEST_NOVEL)
    free = scene.labels == 0
    named = _any_of(scene, asked)
    for piece_id in scene.candidates(scene.shared([0]) >= least, rng):
        piece = opened((scene.supervoxels == piece_id) & free)
        if int(piece.sum()) >= least and not bool((dilate(piece) & named).any()):
            return Target(piece, novel=True)
    return None


def random_supervoxel(
    scene: Scene, asked: Collection[int], rng: np.random.Generator
) -> Target | None:
    """A supervoxel without anything that is asked for, and all labels that it bites into.

    Every label of which more than a tenth lies in it is merged whole; the overlap needs a positive
    click, and so does the free part.
    """
    least = scene.voxels(SMALLEST_NOVEL)
    sizes = torch.bincount(scene.labels.flatten(), minlength=scene.overlap.shape[1])
    eligible = (scene.overlap.sum(1) >= least) & (scene.shared(asked) == 0)
    for piece_id in scene.candidates(eligible, rng):
        piece = opened(scene.supervoxels == piece_id)
        if int(piece.sum()) < least:
            continue
        inside = torch.bincount(scene.labels[piece], minlength=len(sizes))
        merged = [int(i) for i in torch.nonzero(inside > MERGED * sizes)[:, 0] if i]
        regions = [piece & (scene.labels == i) for i in (0, *merged)]
        return Target(
            piece | _any_of(scene, merged),
            novel=True,
            positive=tuple(region for region in regions if bool(region.any())),
        )
    return None


def _any_of(scene: Scene, ids: Collection[int]) -> Tensor:
    """[H, W, D] bool: voxels of any of the structures."""
    mask = torch.zeros_like(scene.labels, dtype=torch.bool)
    for class_id in ids:
        mask |= scene.whole(class_id)
    return mask


def _level_with(added: Tensor, whole: Tensor) -> Tensor:
    """The voxels of `added` in the axial slices of `whole`; all of them where there are none."""
    level = torch.zeros_like(added)
    slices = box_of(whole)[2]
    level[:, :, slices] = added[:, :, slices]
    return level if bool(level.any()) else added
