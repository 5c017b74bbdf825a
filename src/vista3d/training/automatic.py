"""Training of the automatic branch: stage 3 of the recipe with every part trainable.

A step is one patch. Everything random in step n is drawn from the seed (seed, n), so a run that is
killed and resumed continues with exactly the patches it would have seen.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vista3d import volume as vol
from vista3d.network.config import MINI, NetworkConfig
from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import Patch, draw_patch
from vista3d.training.losses import competition, dice_ce, rows_of
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
        """Learning rate of a step: linear warm-up, then cosine to zero."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


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


class PatchStream(torch.utils.data.IterableDataset[tuple[int, Patch]]):
    """Patches of steps start, start + 1, ... drawn beside the training process."""

    def __init__(self, cases: list[Prepared], config: TrainConfig, start: int) -> None:
        self.cases, self.config, self.start = cases, config, start

    def __iter__(self) -> Iterator[tuple[int, Patch]]:
        torch.set_num_threads(1)  # the second core belongs to the training step
        for step in range(self.start, self.config.steps):
            rng = np.random.default_rng([self.config.seed, step])
            yield step, draw_patch(choose_case(self.cases, rng), self.config.patch(step), rng)


def prompt_losses(model: Vista3D, patch: Patch, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each class prompt [K] and their competition; bf16 network, fp32 logits and loss."""
    window = torch.from_numpy(vol.normalise(patch.hu.numpy()))[None, None]
    device = ids.device
    with torch.autocast(device.type, torch.bfloat16):
        features = model.auto_features(window.to(device))
    table = model.class_table(ids).float()
    logits = table @ features.float().flatten(2)[0]
    truth = rows_of(patch.labels.to(device).flatten(), ids)
    return dice_ce(logits, truth), competition(logits, truth)


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
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        trained = [
            p for n, p in self.model.named_parameters()
            if not n.startswith(("point_head.", "image_encoder.up_layers."))
        ]  # fmt: skip
        self.optimiser = torch.optim.AdamW(
            trained, lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
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

    def train_step(self, patch: Patch) -> tuple[float, float]:
        """One optimiser step. Returns the mean loss of present and of absent prompts."""
        rng = np.random.default_rng([self.config.seed, self.step, 1])
        prompts = draw_class_prompts(
            patch.labels,
            patch.annotated,
            rng,
            max_present=self.config.max_present,
            max_absent=self.config.max_absent,
        )
        if len(prompts.ids) == 0:
            return math.nan, math.nan
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(self.step)
        losses, rivalry = prompt_losses(self.model, patch, prompts.ids.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        (losses.mean() + rivalry).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self._update_average()
        values = losses.detach()
        return (
            float(values[: prompts.present].mean()),
            float(values[prompts.present :].mean()),
        )

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
        for step, patch in loader:
            self.step = step
            recent.append(self.train_step(patch))
            self.step = step + 1
            if self.step % 50 == 0:
                self._log(recent, (time.time() - started) / 50)
                started, recent = time.time(), []
            if self.step % self.config.checkpoint_every == 0:
                self.save()
            if until is not None and time.time() > until:
                break
        self.save()

    def _log(self, recent: list[tuple[float, float]], seconds: float) -> None:
        present, absent = np.nanmean(np.array(recent), axis=0)
        row = [self.step, self.config.patch(self.step - 1), f"{present:.4f}", f"{absent:.4f}"]
        log.info("step %d patch %d present %s absent %s (%.2f s)", *row, seconds)
        with (self.folder / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow([*row, f"{seconds:.3f}"])


def with_phases(config: TrainConfig, phases: list[tuple[int, int]]) -> TrainConfig:
    """The same settings with other (patch, steps) phases."""
    return replace(config, phases=tuple(Phase(*phase) for phase in phases))
