"""Which objects of a patch are clicked on: the table of facts 3.5, and ours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import astuple, dataclass, fields

import numpy as np
from torch import Tensor

from vista3d import anatomy
from vista3d.training.sampler import branches, extras
from vista3d.training.sampler.scene import Scene
from vista3d.training.sampler.target import Target

NAMELESS = frozenset({"unseen", "random", "alike", "bone", "lesion"})
"""Branches that need no labelled structure."""


@dataclass(frozen=True)
class BranchShares:
    """How often each branch makes an object; the shares add up to 1.

    The defaults are the published ones. A supervoxel branch that finds nothing falls back to
    `regular`, as released, and so do ours.

    Attributes:
        regular: a whole structure.
        part: a supervoxel cuts a part out of it (organ_sub).
        neighbour: a supervoxel is added to it (organ_add).
        unseen: the unlabelled part of a supervoxel (zeroshot_unseen).
        random: a supervoxel with all labels that it bites into (zeroshot_random).
        unnamed: a whole structure with the zero-shot token (ours, as all that follow).
        cut: one side of a plane through a structure.
        union: two structures that touch.
        alike: a region of similar density.
        lesion: painted into the scan; one a patch, before anything else is chosen.
        bone: a piece of bone.
    """

    regular: float = 0.6
    part: float = 0.1
    neighbour: float = 0.1
    unseen: float = 0.1
    random: float = 0.1
    unnamed: float = 0.0
    cut: float = 0.0
    union: float = 0.0
    alike: float = 0.0
    lesion: float = 0.0
    bone: float = 0.0

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0 or abs(sum(astuple(self)) - 1) > 1e-6:
            msg = f"shares of branches must be >= 0 and add up to 1, not {astuple(self)}"
            raise ValueError(msg)

    def draw(self, rng: np.random.Generator, count: int, among: Collection[str]) -> list[str]:
        """Names of `count` branches, out of `among` only; none where all of those have share 0."""
        names = [field.name for field in fields(self)]
        shares = np.array(
            [s if n in among else 0.0 for n, s in zip(names, astuple(self), strict=True)]
        )
        if shares.sum() == 0:
            return []
        return [names[i] for i in rng.choice(len(names), size=count, p=shares / shares.sum())]


PUBLISHED = BranchShares()

WITHOUT_SUPERVOXELS = BranchShares(
    regular=0.31,
    part=0.0,
    neighbour=0.0,
    unseen=0.0,
    random=0.0,
    unnamed=0.17,
    cut=0.12,
    union=0.11,
    alike=0.23,
    lesion=0.06,
)
"""For machines without supervoxels, close to the mix that the point branch of the first mini learnt
from; with 6 objects a patch, 3 patches of 10 get a lesion."""


def draw_targets(
    hu: Tensor,
    labels: Tensor,
    rng: np.random.Generator,
    count: int,
    *,
    spacing: float,
    supervoxels: Tensor | None = None,
    annotated: Collection[int] | None = None,
    shares: BranchShares | None = None,
) -> tuple[Tensor, list[Target]]:
    """Choose up to `count` objects of a patch.

    Args:
        hu: [H, W, D] float32.
        labels: [H, W, D] int64 global ids, 0 = background or unknown.
        rng: source of every random choice.
        count: objects wanted; fewer where the patch has none.
        spacing: isotropic voxel size in mm.
        supervoxels: [H, W, D] int64, 0 = none; or None.
        annotated: ids that may be asked for; None for all that occur.
        shares: by default PUBLISHED with supervoxels, WITHOUT_SUPERVOXELS else.

    Returns:
        hu, changed where a lesion was painted, and the objects.
    """
    if shares is None:
        shares = WITHOUT_SUPERVOXELS if supervoxels is None else PUBLISHED
    scene = Scene.of(labels, supervoxels, spacing, annotated)
    possible = {field.name for field in fields(shares)} if scene.ids else NAMELESS
    names = shares.draw(rng, count, possible)
    targets = []
    if "lesion" in names:
        hu, lesion = extras.paint_lesion(hu, rng)
        targets += [] if lesion is None else [lesion]
    names = [name for name in names if name != "lesion"]
    names += shares.draw(rng, count - len(targets) - len(names), possible - {"lesion"})
    asked = [int(rng.choice(scene.ids)) for _ in names if scene.ids]
    for name, class_id in itertools.zip_longest(names, asked):
        target = _make(name, scene, hu, class_id, asked, rng)
        targets += [] if target is None else [target]
    return hu, targets


def _make(
    name: str,
    scene: Scene,
    hu: Tensor,
    class_id: int | None,
    asked: list[int],
    rng: np.random.Generator,
) -> Target | None:
    """The object of one branch, or else a regular one; None where that needs a structure."""
    if class_id is None:
        return _nameless(name, scene, hu, asked, rng)
    if class_id in anatomy.SPECIAL:
        return branches.regular(scene, class_id)
    makers: dict[str, Callable[[], Target | None]] = {
        "part": lambda: branches.part_of_organ(scene, class_id, rng),
        "neighbour": lambda: branches.organ_and_neighbour(scene, class_id, rng),
        "unnamed": lambda: extras.unnamed(scene, class_id),
        "cut": lambda: extras.cut(scene, class_id, rng),
        "union": lambda: extras.union(scene, class_id, rng),
    }
    target = makers[name]() if name in makers else _nameless(name, scene, hu, asked, rng)
    return branches.regular(scene, class_id) if target is None else target


def _nameless(
    name: str, scene: Scene, hu: Tensor, asked: list[int], rng: np.random.Generator
) -> Target | None:
    """The object of a branch that needs no structure; None for all others."""
    makers: dict[str, Callable[[], Target | None]] = {
        "unseen": lambda: branches.unseen_supervoxel(scene, asked, rng),
        "random": lambda: branches.random_supervoxel(scene, asked, rng),
        "alike": lambda: extras.alike(hu, rng),
        "bone": lambda: extras.bone(hu, rng),
    }
    return makers[name]() if name in makers else None
