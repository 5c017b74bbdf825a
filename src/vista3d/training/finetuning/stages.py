"""What a fine-tuning run trains, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vista3d.network.metadata import CheckpointMeta
from vista3d.training.recipe import AutoStage, PointStage
from vista3d.training.sampler import BranchShares

Mode = Literal["full", "light"]
MODES: tuple[Mode, ...] = ("full", "light")

VALIDATE_EVERY = 25
"""Steps."""

VALIDATE_SCANS = 3
"""Held-out scans that are measured, whole: 2 s each at 3 mm, as long as two steps."""

PATIENCE = 12
"""Validations without a gain that end a stage: 300 steps, since one held-out scan is noisy and the
last steps, at a low learning rate, are mostly the best."""

STEPS = 2000
"""Steps of a run whose time allows more."""


@dataclass(frozen=True)
class Rates:
    """Peak learning rates and weight decay; `head`: of the class head, None: as the rest."""

    rate: float
    head: float | None
    decay: float


RATES: dict[Mode, Rates] = {
    # Three minutes of one core, five scans, Dice of ten others, mandible and larynx: both rates
    # 1e-3 0.78 and 0.52, both 3e-4 0.83 and 0.35 (the new row of the class table hardly moves),
    # these 0.85 and 0.53; from random weights at 1e-3 0.80 and 0.46.
    "full": Rates(3e-4, 3e-3, 1e-2),
    # Without decay the rows of all other classes stay bit for bit what they are.
    "light": Rates(3e-3, None, 0.0),
}


def auto_stage(mode: Mode, patch: int, steps: int, learning_rate: float | None = None) -> AutoStage:
    """The automatic branch (paper section 6): all of it with its encoder, or a few percent of it.

    Args:
        mode: "full": encoder, automatic decoder and class head, as released. "light": class head
            with its embeddings, and the norms of the automatic decoder; encoder and point branch
            stay what they are, so that clicks do, too.
        patch: voxels per side.
        steps: optimiser steps.
        learning_rate: at its peak, of all parts; None: of the mode.
    """
    rates = RATES[mode]
    return AutoStage(
        name="auto",
        parts=("encoder", "auto") if mode == "full" else ("class head", "auto norms"),
        patch=patch,
        steps=steps,
        optimiser="muon" if mode == "full" else "adamw",
        learning_rate=learning_rate or rates.rate,
        head_rate=None if learning_rate else rates.head,
        warmup=min(20, steps // 10),
        weight_decay=rates.decay,
        betas=(0.9, 0.99),
        clip=1.0,
        validate_every=min(VALIDATE_EVERY, steps),
        validate_scans=VALIDATE_SCANS,
        # All voxels alike: with 0.5, which recipe mini needs from scratch, the mandible of ten
        # unseen scans was found 2.9 times as large as drawn (1.2), Dice 0.51 (0.78).
        balance=0.0,
    )


def point_stage(base: CheckpointMeta, steps: int) -> PointStage:
    """The point branch on the new encoder; objects carry the token that clicks on them will."""
    return PointStage(
        name="points",
        parts=("points",),
        patch=min(base.click_context),
        window=min(base.click_window),
        views=3,
        steps=steps,
        learning_rate=3e-4,
        head_rate=1e-3,
        warmup=min(20, steps // 10),
        weight_decay=1e-2,
        betas=(0.9, 0.99),
        clip=1.0,
        rounds=4,
        balance=0.5,
        heed=1.0,
        shares=BranchShares(
            regular=0, part=0, neighbour=0, unseen=0, random=0, unnamed=0.7, cut=0.15, alike=0.15
        ),
        validate_every=min(VALIDATE_EVERY, steps),
    )
