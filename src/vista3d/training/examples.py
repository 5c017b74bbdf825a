"""What a step learns from: patches drawn beside the training process.

Everything random of example `slot` of step `n` comes from the seed (recipe, stage, n, slot), so a
run that was killed goes on with exactly the examples it would have seen, and several processes
together see what one would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vista3d.supervoxels import IntensityTeacher, segment_array
from vista3d.training.augmentation import Patch, draw_patch
from vista3d.training.data.case import Case
from vista3d.training.data.prepared import Arrays, Prepared, prepare_arrays
from vista3d.training.data.store import DEFAULT_BYTES, Store
from vista3d.training.recipe import AutoStage, PointStage, Recipe, Sampling
from vista3d.training.released_patches import released_patch
from vista3d.training.sampler import WITHOUT_SUPERVOXELS, Target, draw_balls, draw_targets
from vista3d.training.synthetic.lesion_kinds import ORGANS
from vista3d.training.synthetic.lesions import paint_lesions

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class View:
    """A window of a patch and the objects to click on in it.

    Attributes:
        box: where it lies in the patch.
        targets: at least one; masks of the window's size.
    """

    box: Box
    targets: list[Target]


@dataclass(frozen=True)
class Example:
    """A patch, its views where the stage clicks, and the scan that it is cut from."""

    patch: Patch
    views: tuple[View, ...] = ()
    scan: str = ""


def choose_case(cases: list[Prepared], sampling: Sampling, rng: np.random.Generator) -> Prepared:
    """The scan that a patch is cut from; data sets of weight 0 never take part."""
    cases = [case for case in cases if case.case.source.weight > 0]
    if sampling == "scans":
        return cases[int(rng.integers(len(cases)))]
    weights = {case.case.source.name: case.case.source.weight for case in cases}
    names = sorted(weights)
    mass = np.array([weights[name] if sampling == "weights" else 1.0 for name in names])
    name = names[int(rng.choice(len(names), p=mass / mass.sum()))]
    members = [case for case in cases if case.case.source.name == name]
    if sampling == "datasets":
        return members[int(rng.integers(len(members)))]
    richness = np.array([len(case.annotated) for case in members], float)
    return members[int(rng.choice(len(members), p=richness / richness.sum()))]


def prepare_all(
    cases: list[Case],
    cache: Path,
    spacing: float,
    segments: int | None = None,
    place: tuple[int, int] = (0, 1),
    max_bytes: int = DEFAULT_BYTES,
) -> list[Prepared]:
    """Cases on the model's grid; with `segments`, scans without supervoxels get some.

    Those come from intensities: they need no weights, and the teacher of the paper, SAM, is run
    beforehand (`vista3d supervoxels`) and named in the data set's list.

    Args:
        cases: what.
        cache: folder that any number of processes and machines may share.
        spacing: isotropic voxel size, mm.
        segments: supervoxels of a scan; None: no supervoxels.
        place: number of this process, and of all. Each begins at another case and finds ready what
            the others have made, so that no case is prepared by all of them.
        max_bytes: that the cache may hold, with supervoxels and without.
    """
    name = "plain" if segments is None else f"supervoxels-{segments}"
    store = Store(cache / name, max_bytes, whole=cache)
    build = prepare_arrays if segments is None else _Segmented(segments)
    start = len(cases) * place[0] // place[1]
    found = [store.get(case, spacing, build) for case in cases[start:] + cases[:start]]
    first = len(cases) - start
    return found[first:] + found[:first]


@dataclass(frozen=True)
class _Segmented:
    """`prepare_arrays`, and supervoxels."""

    segments: int

    def __call__(self, case: Case, spacing: float) -> Arrays:
        arrays = prepare_arrays(case, spacing)
        if arrays.image is None or arrays.supervoxels is not None:
            return arrays
        regions = segment_array(arrays.image, spacing, self.segments, IntensityTeacher())
        return replace(arrays, supervoxels=regions)


class Examples(torch.utils.data.IterableDataset[tuple[int, list[Example]]]):
    """The examples of one process, from step `start` on: (step, examples of its batch)."""

    def __init__(
        self,
        cases: list[Prepared],
        recipe: Recipe,
        number: int,
        start: int,
        length: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.cases, self.recipe, self.number = cases, recipe, number
        self.start, self.length, self.rank, self.processes = start, length, rank, processes
        self.classes = frozenset[int]().union(*(case.annotated for case in cases))

    def __iter__(self) -> Iterator[tuple[int, list[Example]]]:
        torch.set_num_threads(1)  # the other cores belong to the training step
        batch = self.recipe.stages[self.number].batch
        for step in range(self.start, self.length):
            slots = range(self.rank * batch, (self.rank + 1) * batch)
            yield step, [self.example(step, slot) for slot in slots]

    def example(self, step: int, slot: int = 0) -> Example:
        """One example; the same for the same step and slot."""
        rng = np.random.default_rng([self.recipe.seed, self.number, step, slot])
        stage = self.recipe.stages[self.number]
        case = choose_case(self.cases, stage.sampling, rng)
        scan = f"{case.case.source.name}/{case.case.name}"
        patch = self._patch(case, stage, rng)
        if isinstance(stage, AutoStage):
            if rng.random() < stage.lesions:
                patch = with_lesions(patch, self.recipe.spacing, rng)
            return Example(patch, scan=scan)
        lead = step < stage.lead_in * rng.random()
        return replace(draw_views(patch, stage, self.recipe.spacing, rng, balls=lead), scan=scan)

    def _patch(
        self, case: Prepared, stage: AutoStage | PointStage, rng: np.random.Generator
    ) -> Patch:
        """A patch of a scan, varied as the stage says."""
        spacing = self.recipe.spacing
        clicked = isinstance(stage, PointStage)
        supervoxels = isinstance(stage, PointStage) and stage.supervoxels
        if stage.augmentation == "released":
            return released_patch(case, stage.patch, rng, spacing=spacing, supervoxels=supervoxels)
        return draw_patch(
            case, stage.patch, rng, frozenset() if clicked else self.classes,
            spacing=spacing, supervoxels=supervoxels, resynthesis=stage.resynthesis,
        )  # fmt: skip


def draw_views(
    patch: Patch, stage: PointStage, spacing: float, rng: np.random.Generator, balls: bool = False
) -> Example:
    """Windows around structures of a patch, each with objects to click on; none in a patch of air.

    A lesion that a window paints is part of the patch for the windows after it, too.
    """
    hu, views = patch.hu.clone(), []
    for _ in range(stage.views):
        box = _place(patch.labels, stage.window, rng)
        if balls:
            views.append(View(box, draw_balls(stage.window, rng, stage.targets)))
            continue
        regions = None if patch.supervoxels is None else patch.supervoxels[box]
        painted, targets = draw_targets(
            hu[box],
            patch.labels[box],
            rng,
            stage.targets,
            spacing=spacing,
            supervoxels=regions,
            annotated=patch.annotated,
            # A label map without its scan has no supervoxels.
            shares=WITHOUT_SUPERVOXELS if stage.supervoxels and regions is None else stage.shares,
        )
        hu[box] = painted
        if targets:
            views.append(View(box, targets))
    return Example(replace(patch, hu=hu), tuple(views))


def _place(labels: Tensor, window: int, rng: np.random.Generator) -> Box:
    """A window inside the patch, near a voxel of a structure drawn at random."""
    sizes = np.array(labels.shape)
    ids = torch.unique(labels)
    ids = ids[ids > 0]
    if len(ids) and (sizes > window).any():
        chosen = ids[int(rng.integers(len(ids)))]
        voxels = torch.nonzero(labels == chosen)
        centre = voxels[int(rng.integers(len(voxels)))].numpy()
        start = centre - window // 2 + rng.integers(-window // 4, window // 4 + 1, 3)
    else:
        start = rng.integers(0, sizes - window + 1)
    i, j, k = (slice(int(a), int(a) + window) for a in np.clip(start, 0, sizes - window))
    return i, j, k


def with_lesions(patch: Patch, spacing: float, rng: np.random.Generator) -> Patch:
    """A patch with one to three synthetic lesions in organs that it shows, labelled as such."""
    shown = set(torch.unique(patch.labels).tolist())
    organs = [
        name for name, organ in ORGANS.items() if any(shown & set(site) for site in organ.sites)
    ]
    if not organs:
        return patch
    hu, labels, made = paint_lesions(
        patch.hu.numpy(),
        patch.labels.numpy(),
        (spacing, spacing, spacing),
        rng,
        organs,
        int(rng.integers(1, 4)),
    )
    known = frozenset(lesion.class_id for lesion in made)
    return replace(
        patch,
        hu=torch.from_numpy(hu),
        labels=torch.from_numpy(labels),
        annotated=patch.annotated | known,
        rivals=patch.rivals - known,
    )
