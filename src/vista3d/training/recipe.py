"""The four training stages as values (paper section 3.4; published numbers: facts 3.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from vista3d.errors import UsageError
from vista3d.network.config import MINI as MINI_NETWORK
from vista3d.network.config import OFFICIAL, NetworkConfig
from vista3d.training.sampler import PUBLISHED, BranchShares

Part = Literal["encoder", "auto", "points", "class head", "auto norms"]
Sampling = Literal["scans", "datasets", "weights"]
"""How a patch's scan is chosen: every scan equally often; every data set equally often; or by the
weights of the mapping file, and within a data set in proportion to the classes a scan annotates."""

Augmentation = Literal["own", "released"]
"""How patches are varied: `augmentation.py`, or `released_patches.py`."""

Loss = Literal["competing", "released"]
"""Of class prompts: those known and those absent averaged apart, and all in competition with each
other and the background; or the mean over all prompts of the released loss, and nothing else."""


RESYNTHESIS = 0.2
"""Of the patches of scans: enough that contrast alone tells nothing, few enough that most look as
scanners make them."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What both kinds of stages have.

    Attributes:
        name: of its folder.
        parts: what is trained; the rest is frozen, and what a frozen part computes before the first
            trained one runs without autograd.
        patch: voxels per side that the encoder sees.
        steps: optimiser steps; 0 where `epochs` says it.
        epochs: passes over the training scans, `PATCHES_PER_SCAN` patches each.
        batch: patches per optimiser step and process.
        sampling: how scans are chosen.
        optimiser: `muon`: see `training/muon.py`.
        learning_rate: peak; cosine to zero over the stage.
        head_rate: the same of the class head or the point head; None: as all other parts.
        warmup: steps of linear warm-up.
        weight_decay: of either optimiser.
        betas: of AdamW, and of what Muon leaves to Adam.
        clip: largest norm of the gradient; infinity: no clipping, as released.
        augmentation: how patches are varied.
        resynthesis: share of the patches of scans whose structures get other densities.
        label_maps: whether label maps without a scan take part, with made-up densities.
        taught: whether scans that nobody but a teacher labelled take part.
        validate_every: steps between validations; 0: only at the end.
        validate_epochs: epochs between validations, in place of steps; 0: steps say it.
    """

    name: str
    parts: tuple[Part, ...]
    patch: int
    steps: int = 0
    epochs: int = 0
    batch: int = 1
    sampling: Sampling = "scans"
    optimiser: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 2e-5
    head_rate: float | None = None
    warmup: int = 0
    weight_decay: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = math.inf
    augmentation: Augmentation = "own"
    resynthesis: float = RESYNTHESIS
    label_maps: bool = True
    taught: bool = True
    validate_every: int = 0
    validate_epochs: int = 0

    def length(self, scans: int, processes: int = 1) -> int:
        """Optimiser steps with so many training scans."""
        return self.steps or self._steps_of(self.epochs, scans, processes)

    def interval(self, scans: int, processes: int = 1) -> int:
        """Optimiser steps between validations; 0: only at the end."""
        if not self.validate_epochs:
            return self.validate_every
        return self._steps_of(self.validate_epochs, scans, processes)

    def _steps_of(self, epochs: int, scans: int, processes: int) -> int:
        return max(1, math.ceil(epochs * scans * PATCHES_PER_SCAN / (self.batch * processes)))

    def rate(self, step: int, length: int) -> float:
        """Share of the learning rate at a step: linear warm-up, then cosine to zero."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, length - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


PATCHES_PER_SCAN = 2
"""Patches cut from a scan per epoch (facts 3.1)."""


@dataclass(frozen=True, kw_only=True)
class AutoStage(Stage):
    """Class prompts (paper stages 3 and 4).

    Attributes:
        max_present: cap on prompts of classes that occur in the patch.
        max_absent: cap on prompts of classes that do not.
        max_rivals: cap on prompts of classes that are known to be absent from a part of it.
        loss: of all prompts of a patch.
        balance: see `losses.class_losses`; of the competition.
        lesions: share of the patches into which synthetic lesions are painted, with their labels.
        validate_scans: held-out scans that a validation measures.
        keep_best: whether the stage leaves the weights of its best validation, not its last ones.
    """

    max_present: int = 32
    max_absent: int = 4
    max_rivals: int = 12
    loss: Loss = "competing"
    balance: float = 0.5
    lesions: float = 0.0
    validate_scans: int = 12
    keep_best: bool = False


@dataclass(frozen=True, kw_only=True)
class PointStage(Stage):
    """Clicks (paper stages 1 and 2).

    Attributes:
        window: voxels per side that the point head works in; the patch around it is context.
        views: windows per patch; the encoder runs once for all of them.
        targets: objects per window.
        rounds: rounds of clicks on them, 1 to this many, the first as likely as the last.
        balance: see `points.mask_loss`.
        heed: weight of `points.heed_loss`.
        lead_in: steps over which balls around a click give way to objects.
        supervoxels: whether objects are made of supervoxels, too (Alg. 2).
        shares: which branch of the sampler makes an object how often, with supervoxels.
    """

    window: int = 128
    views: int = 1
    targets: int = 4
    rounds: int = 5
    balance: float = 0.0
    heed: float = 0.0
    lead_in: int = 0
    supervoxels: bool = False
    shares: BranchShares = field(default=PUBLISHED)


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    Attributes:
        name: of the recipe and of the model it makes.
        network: its sizes.
        spacing: isotropic voxel size of the model grid, mm.
        stages: in order; each starts from the weight average of the one before.
        segments: supervoxels per scan.
        ema: decay of the weight average that is validated and exported; 0: the last weights.
        seed: of initial weights and of everything drawn.
    """

    name: str
    network: NetworkConfig
    spacing: float
    stages: tuple[AutoStage | PointStage, ...]
    segments: int = 100
    ema: float = 0.0
    seed: int = 0

    def shortened(self, share: float) -> Recipe:
        """The same with a share of the steps: for trials."""
        counts = ("steps", "epochs", "warmup", "lead_in")

        def short(stage: AutoStage | PointStage) -> AutoStage | PointStage:
            own = {name: getattr(stage, name) for name in counts if hasattr(stage, name)}
            return replace(stage, **{name: math.ceil(n * share) for name, n in own.items()})

        return replace(self, stages=tuple(map(short, self.stages)))


_CLICKS = PointStage(
    name="1-points-supervoxels",
    parts=("encoder", "points"),
    patch=128,
    epochs=300,
    supervoxels=True,
    augmentation="released",
    resynthesis=0.0,
    label_maps=False,
    validate_epochs=1,
)

_CLASSES = AutoStage(
    name="3-auto",
    parts=("auto",),
    patch=128,
    epochs=200,
    augmentation="released",
    resynthesis=0.0,
    label_maps=False,
    max_rivals=0,
    loss="released",
    balance=0.0,
    validate_epochs=5,
    keep_best=True,
)

PAPER = Recipe(
    name="paper",
    network=OFFICIAL,
    spacing=1.5,
    stages=(
        _CLICKS,
        # The paper says: without supervoxels, data sets balanced. The released file of this stage
        # still loads supervoxels and does not balance (facts 8.6).
        replace(
            _CLICKS,
            name="2-points",
            sampling="datasets",
            supervoxels=False,
            shares=BranchShares(regular=1.0, part=0, neighbour=0, unseen=0, random=0),
            taught=False,
        ),
        _CLASSES,
        replace(
            _CLASSES,
            name="4-auto-balanced",
            sampling="datasets",
            # "Synthetic data for tumours"; which and how much is not published.
            lesions=0.2,
            label_maps=True,
            taught=False,
            validate_epochs=1,
        ),
    ),
)
"""As published, from given weights: the released learning rate continues a trained checkpoint."""

_WIDE = AutoStage(
    name="2-auto-wide",
    parts=("encoder", "auto"),
    patch=80,
    steps=1300,
    sampling="weights",
    optimiser="muon",
    learning_rate=6e-4,
    warmup=50,
    weight_decay=1e-2,
    betas=(0.9, 0.99),
    clip=1.0,
    max_absent=12,
    max_rivals=24,
    lesions=0.15,
    validate_every=325,
)

_SEGMENTED = PointStage(
    name="4-points-supervoxels",
    parts=("points",),
    patch=64,
    window=32,
    views=5,
    steps=1200,
    sampling="weights",
    optimiser="muon",
    learning_rate=1e-3,
    head_rate=2e-3,
    warmup=50,
    weight_decay=1e-2,
    betas=(0.9, 0.99),
    clip=1.0,
    rounds=4,
    balance=0.5,
    heed=1.0,
    lead_in=150,
    supervoxels=True,
    shares=BranchShares(
        regular=0.32, part=0.08, neighbour=0.06, unseen=0.1, random=0.06,
        unnamed=0.12, cut=0.04, union=0.04, alike=0.05, lesion=0.05, bone=0.08,
    ),
    validate_every=300,
)  # fmt: skip

MINI = Recipe(
    name="mini",
    network=MINI_NETWORK,
    # Labels at 4 mm and back, as a perfect network would give them, are Dice 0.82 for the spinal
    # cord and 0.81 for the esophagus of OpenKBP; at 3 mm 0.97 and 0.96.
    spacing=3.0,
    # Class prompts first: from scratch on 190 scans they teach the encoder what clicks do not (the
    # point branch of an untrained encoder stays at Dice 0.1 for thousands of steps).
    stages=(
        replace(
            _WIDE,
            name="1-auto",
            patch=64,
            steps=4500,
            learning_rate=1e-3,
            warmup=100,
            lesions=0.0,
            validate_every=500,
        ),
        _WIDE,
        # Weights that let small structures be learned at all made every mask too large (twice the
        # volume on held-out heads); without them, before clicks are learned on this encoder.
        replace(
            _WIDE,
            name="3-auto-level",
            steps=1800,
            learning_rate=4e-4,
            balance=0.0,
            validate_every=300,
        ),
        _SEGMENTED,
        replace(
            _SEGMENTED,
            name="5-points",
            steps=1200,
            learning_rate=5e-4,
            head_rate=1e-3,
            warmup=20,
            rounds=5,
            # As for classes: equal weights made brain stems and parotids a third too large, and 0.1
            # left a third of them out after one click.
            balance=0.25,
            lead_in=0,
            supervoxels=False,
            shares=BranchShares(
                regular=0.38, part=0, neighbour=0, unseen=0, random=0,
                unnamed=0.18, cut=0.06, union=0.06, alike=0.09, lesion=0.09, bone=0.14,
            ),
            validate_every=200,
        ),
    ),
    ema=0.998,
)  # fmt: skip
"""For the corpus of this project, from scratch on 2 cores."""

RECIPES = {recipe.name: recipe for recipe in (PAPER, MINI)}


def recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        UsageError: there is no such recipe.
    """
    if name not in RECIPES:
        msg = f"unknown recipe {name!r}: one of {', '.join(RECIPES)}"
        raise UsageError(msg)
    return RECIPES[name]
