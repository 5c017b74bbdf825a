"""A training run: both branches on one shared encoder, every part trainable.

A step is one patch: class prompts for the automatic branch, or rounds of clicks for the point
branch. Everything random in step n is drawn from the seed (seed, n), so a run that is
killed and resumed continues with exactly the patches it would have seen.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vista3d.network.config import MINI, NetworkConfig
from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import Patch, draw_patch
from vista3d.training.automatic import prompt_losses
from vista3d.training.clicks import ClickBatch
from vista3d.training.initial import look_at_the_click
from vista3d.training.objects import Target, draw_balls, draw_targets
from vista3d.training.points import click_rounds
from vista3d.training.precision import mixed
from vista3d.training.prepared import Prepared
from vista3d.training.prompts import draw_class_prompts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one patch size (voxels per side)."""

    patch: int
    steps: int


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; saved beside its checkpoints.

    Attributes:
        network: sizes of the network.
        spacing: isotropic voxel size of the model grid, mm.
        phases: small patches first (cheap steps), then the window size of inference.
        learning_rate: peak of the cosine schedule over all phases.
        point_rate: the same for the point head, which starts from nothing.
        parts: what is trained, of "encoder", "auto" and "points"; the rest is frozen, and a
            frozen encoder runs without autograd.
        point_share: share of the steps that click.
        point_patch: patch size of those steps: the window of interactive inference.
        targets: objects clicked on together.
        rounds: rounds of clicks on them.
        balance: see `points.mask_loss`.
        lead_in: steps over which balls around a click give way to objects.
        warmup: steps of linear warm-up.
        weight_decay: of AdamW.
        ema: decay of the weight average that is validated and shipped.
        max_present: cap on present class prompts of a patch.
        max_absent: cap on absent ones.
        seed: of the patches and the initial weights.
        checkpoint_every: steps between checkpoints.
    """

    network: NetworkConfig = MINI
    spacing: float = 4.0
    phases: tuple[Phase, ...] = (Phase(64, 4500), Phase(96, 700))
    learning_rate: float = 1e-3
    point_rate: float = 1e-3
    parts: tuple[str, ...] = ("encoder", "auto", "points")
    point_share: float = 0.5
    point_patch: int = 48
    targets: int = 6
    rounds: int = 2
    balance: float = 1.0
    lead_in: int = 0
    warmup: int = 100
    weight_decay: float = 1e-2
    ema: float = 0.998
    max_present: int = 32
    max_absent: int = 5
    seed: int = 0
    checkpoint_every: int = 200

    @property
    def steps(self) -> int:
        """Total number of steps."""
        return sum(phase.steps for phase in self.phases)

    def patch(self, step: int) -> int:
        """Patch size of a step."""
        for phase in self.phases:
            if step < phase.steps:
                return phase.patch
            step -= phase.steps
        return self.phases[-1].patch

    def rate(self, step: int) -> float:
        """Share of the learning rate at a step: linear warm-up, then cosine to zero."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def choose_case(cases: list[Prepared], rng: np.random.Generator) -> Prepared:
    """Data set by its weight, then a case in proportion to the classes it annotates."""
    folders = sorted({case.case.source.folder for case in cases})
    weights = np.array(
        [next(c.case.source.weight for c in cases if c.case.source.folder == f) for f in folders]
    )
    folder = folders[int(rng.choice(len(folders), p=weights / weights.sum()))]
    members = [case for case in cases if case.case.source.folder == folder]
    richness = np.array([len(case.annotated) for case in members], float)
    return members[int(rng.choice(len(members), p=richness / richness.sum()))]


@dataclass(frozen=True)
class Example:
    """What a step learns from: a patch, and the objects to click on if it is a step of clicks."""

    patch: Patch
    targets: list[Target] | None = None


class PatchStream(torch.utils.data.IterableDataset[tuple[int, Example]]):
    """Examples of steps start, start + 1, ... drawn beside the training process."""

    def __init__(self, cases: list[Prepared], config: TrainConfig, start: int) -> None:
        self.cases, self.config, self.start = cases, config, start
        self.classes = frozenset[int]().union(*(case.annotated for case in cases))

    def __iter__(self) -> Iterator[tuple[int, Example]]:
        torch.set_num_threads(1)  # the second core belongs to the training step
        for step in range(self.start, self.config.steps):
            yield step, self.example(step)

    def example(self, step: int) -> Example:
        """The example of one step; the same for the same seed."""
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        case = choose_case(self.cases, rng)
        if rng.random() >= config.point_share:
            return Example(draw_patch(case, config.patch(step), rng, self.classes))
        patch = draw_patch(case, config.point_patch, rng)
        if step < config.lead_in * rng.random():
            return Example(patch, draw_balls(config.point_patch, rng, config.targets))
        hu, targets = draw_targets(patch.hu, patch.labels, rng, config.targets)
        return Example(replace(patch, hu=hu), targets)


POINT_HEAD = "point_head."

PARTS = {
    "encoder": ("image_encoder.encoder.",),
    "auto": ("image_encoder.up_layers_auto.", "class_head."),
    "points": ("image_encoder.up_layers.", POINT_HEAD),
}
"""What a part is called in the network."""


class Run:
    """State of one training run: network, weight average, optimiser, step."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        device: str = "cpu",
        initial: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Start a run, from `initial` weights or from scratch; or resume the one in `folder`."""
        torch.manual_seed(config.seed)
        self.config, self.folder = config, folder
        self.device = torch.device(device)
        self.model = Vista3D(config.network).to(self.device)
        # Start from near-zero logits: a random class table costs the first 100 steps (CE 5.7).
        with torch.no_grad():
            self.model.class_head.mlp[3].get_parameter("bias").zero_()
            self.model.class_head.mlp[3].get_parameter("weight").mul_(0.1)
        if initial is not None:
            self.model.load_state_dict(initial)
        if config.lead_in:
            look_at_the_click(self.model.point_head, config.seed)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.requires_grad_(False)
        groups = []
        for prefix in (prefix for part in config.parts for prefix in PARTS[part]):
            peak = config.point_rate if prefix == POINT_HEAD else config.learning_rate
            members = [p for n, p in self.model.named_parameters() if n.startswith(prefix)]
            for parameter in members:
                parameter.requires_grad_(True)
            groups.append({"params": members, "peak": peak})
        self.optimiser = torch.optim.AdamW(
            groups, betas=(0.9, 0.99), weight_decay=config.weight_decay
        )
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.is_file():
            self._restore()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "state.pt"

    def _restore(self) -> None:
        state: dict[str, Any] = torch.load(
            self._checkpoint, map_location=self.device, weights_only=True
        )
        self.model.load_state_dict(state["model"])
        self.average, self.step = state["average"], state["step"]
        self.optimiser.load_state_dict(state["optimiser"])
        log.info("resumed %s at step %d", self.folder, self.step)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        partial = self._checkpoint.with_suffix(f".{os.getpid()}")
        torch.save(state, partial)
        partial.replace(self._checkpoint)
        settings = json.dumps(asdict(self.config), indent=1)
        (self.folder / "config.json").write_text(settings)

    def train_step(self, example: Example) -> tuple[float, float, float]:
        """One optimiser step.

        Returns:
            Mean loss of present prompts, of absent ones, and 1 - Dice of the last clicks; nan where
            there was none.
        """
        rng = np.random.default_rng([self.config.seed, self.step, 1])
        self.optimiser.zero_grad(set_to_none=True)
        if example.targets is None:
            losses = (*self._learn_classes(example.patch, rng), math.nan)
        else:
            losses = (math.nan, math.nan, self._learn_clicks(example.patch, example.targets, rng))
        if all(math.isnan(loss) for loss in losses):
            return losses
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * self.config.rate(self.step)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self._update_average()
        return losses

    def _learn_classes(self, patch: Patch, rng: np.random.Generator) -> tuple[float, float]:
        prompts = draw_class_prompts(
            patch.labels,
            patch.annotated,
            rng,
            rivals=patch.rivals,
            max_present=self.config.max_present,
            max_absent=self.config.max_absent,
        )
        if len(prompts.ids) == 0:
            return math.nan, math.nan
        losses, rivalry = prompt_losses(self.model, patch, prompts)
        (losses.mean() + rivalry).backward()  # type: ignore[no-untyped-call]
        values = losses.detach()
        return float(values[: prompts.present].mean()), float(values[prompts.present :].mean())

    def _learn_clicks(self, patch: Patch, targets: list[Target], rng: np.random.Generator) -> float:
        if not targets:
            return math.nan
        config = self.config
        with mixed(self.device):
            skips = self.model.encode(patch.window(self.device))
        batch = ClickBatch.of(targets, self.device)
        rounds = click_rounds(self.model, skips, batch, config.rounds, rng, config.balance)
        rounds.tokens.backward(rounds.gradient)  # type: ignore[no-untyped-call]
        return 1 - rounds.dice

    def _update_average(self) -> None:
        # The usual ramp: an average of few steps must forget the initial weights quickly.
        decay = min(self.config.ema, (self.step + 1) / (self.step + 10))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def fit(self, cases: list[Prepared], *, until: float | None = None) -> None:
        """Train to the last step, or to the wall-clock time `until` (seconds since the epoch)."""
        stream = PatchStream(cases, self.config, self.step)
        loader = torch.utils.data.DataLoader(
            stream, batch_size=None, num_workers=1, prefetch_factor=4
        )
        started, recent = time.time(), []
        for step, example in loader:
            self.step = step
            recent.append(self.train_step(example))
            self.step = step + 1
            if self.step % 50 == 0:
                self._log(recent, (time.time() - started) / 50)
                started, recent = time.time(), []
            if self.step % self.config.checkpoint_every == 0:
                self.save()
            if until is not None and time.time() > until:
                break
        self.save()

    def _log(self, recent: list[tuple[float, float, float]], seconds: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no step of one kind: nan is right
            means = np.nanmean(np.array(recent), axis=0)
        row = [self.step, self.config.patch(self.step - 1), *(f"{mean:.4f}" for mean in means)]
        log.info("step %d patch %d present %s absent %s clicks %s (%.2f s)", *row, seconds)
        with (self.folder / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow([*row, f"{seconds:.3f}"])


def with_phases(config: TrainConfig, phases: list[tuple[int, int]]) -> TrainConfig:
    """The same settings with other (patch, steps) phases."""
    return replace(config, phases=tuple(Phase(*phase) for phase in phases))
