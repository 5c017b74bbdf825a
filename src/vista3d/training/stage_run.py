"""One stage of a recipe: optimiser steps, weight average, checkpoints, logs.

Several processes share a step: each takes its own examples, and gradients are summed over all of
them. Lightning Fabric starts the processes and moves the tensors. Its wrapper for gradients is not
used: it expects one backward pass a step, and the rounds of clicks make many.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from vista3d.errors import InputError
from vista3d.network.layout import voxel_by_voxel
from vista3d.network.vista3d import Vista3D
from vista3d.training.data.prepared import Prepared
from vista3d.training.examples import Example, Examples
from vista3d.training.initial import look_at_the_click
from vista3d.training.learner import Losses, learn, prepared_head, trained
from vista3d.training.muon import Muon
from vista3d.training.recipe import PointStage, Recipe
from vista3d.training.validation import validate

log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 50
"""Steps between checkpoints: at most minutes of work are lost."""

LOG_EVERY = 10

OPTIMISERS = {"adamw": torch.optim.AdamW, "muon": Muon}

CHECKPOINT = "state.pt"
"""In the folder of a stage: network, weight average, optimiser, step."""


class StageRun:
    """The state of one stage: network, weight average, optimiser, step."""

    def __init__(
        self,
        recipe: Recipe,
        number: int,
        folder: Path,
        fabric: Fabric,
        length: int,
        initial: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Start from `initial` weights or from scratch, or resume the run in `folder`.

        Args:
            recipe: the whole recipe.
            number: of the stage in it.
            folder: of the stage.
            fabric: launched.
            length: steps of the stage.
            initial: weights to start from.
        """
        torch.manual_seed(recipe.seed)
        self.recipe, self.number, self.folder = recipe, number, folder
        self.stage = recipe.stages[number]
        self.fabric, self.length, self.step = fabric, length, 0
        self.model = voxel_by_voxel(Vista3D(recipe.network).to(fabric.device))
        prepared_head(self.model)
        if initial is not None:
            self.model.load_state_dict(dict(initial))
        if isinstance(self.stage, PointStage) and self.stage.lead_in:
            look_at_the_click(self.model.point_head, recipe.seed)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimiser = OPTIMISERS[self.stage.optimiser](
            trained(self.model, self.stage),  # type: ignore[arg-type]
            lr=self.stage.learning_rate,
            betas=self.stage.betas,
            weight_decay=self.stage.weight_decay,
        )
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.is_file():
            self._restore()

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.length

    @property
    def _checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def _restore(self) -> None:
        state: dict[str, Any] = torch.load(
            self._checkpoint, map_location=self.fabric.device, weights_only=True
        )
        self.model.load_state_dict(state["model"])
        self.average, self.step = state["average"], state["step"]
        self.optimiser.load_state_dict(state["optimiser"])
        log.info("stage %s goes on at step %d", self.stage.name, self.step)

    def save(self) -> None:
        """Write the checkpoint atomically; the first process does."""
        if self.fabric.is_global_zero:
            state = {
                "model": self.model.state_dict(),
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
            }
            partial = self._checkpoint.with_suffix(f".{os.getpid()}")
            torch.save(state, partial)
            partial.replace(self._checkpoint)
            (self.folder / "stage.json").write_text(json.dumps(asdict(self.stage), indent=1))
        self.fabric.barrier()

    def train_step(self, examples: list[Example]) -> Losses:
        """One optimiser step on the examples of this process and of all others.

        Returns:
            Means over the examples that had something to learn, of all processes.

        Raises:
            InputError: the loss or its gradient is not finite, in all processes; the weights are as
                they were.
        """
        self.optimiser.zero_grad(set_to_none=True)
        scale = 1 / (len(examples) * self.fabric.world_size)
        found = []
        for slot, example in enumerate(examples, start=self.fabric.global_rank * len(examples)):
            rng = np.random.default_rng([self.recipe.seed, self.number, self.step, slot, 1])
            found.append(learn(self.model, example, self.stage, rng, scale))
        losses = self._shared(found)
        if losses:
            self._share_gradients()
            for group in self.optimiser.param_groups:
                group["lr"] = group["peak"] * self._rate()
            norm = nn.utils.clip_grad_norm_(self._parameters(), self.stage.clip)
            if not math.isfinite(losses["loss"]) or not math.isfinite(norm):
                raise InputError(self._not_finite(examples, found))
            self.optimiser.step()
            self._update_average()
        self.step += 1
        return losses

    def _not_finite(self, examples: list[Example], found: list[Losses]) -> str:
        """What to say of a step that cannot be made; every process knows its own scans only."""
        pairs = zip(examples, found, strict=True)
        bad = [example.scan for example, own in pairs if not math.isfinite(own.get("loss", 0.0))]
        scans = ", ".join(dict.fromkeys(bad or [example.scan for example in examples]))
        others = " or one of another process" if self.fabric.world_size > 1 and not bad else ""
        return (
            f"{self.stage.name}, step {self.step}: the loss or its gradient is not finite, with "
            f"{scans}{others}. The weights are as they were, and the checkpoint is whole: see "
            "`vista3d data check`, and leave the scan out, or train at a lower learning rate"
        )

    def _rate(self) -> float:
        """Share of the peak learning rate at this step."""
        return self.stage.rate(self.step, self.length)

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]

    def _share_gradients(self) -> None:
        """Sum the gradients of all processes, in one message.

        What no process used keeps none: a gradient of 0 is one, and weights decay with it.
        """
        if self.fabric.world_size == 1:
            return
        parameters = self._parameters()
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        used = torch.tensor([float(p.grad is not None) for p in parameters])
        flat = torch.cat([*(part.flatten() for part in parts), used.to(parts[0].device)])
        total = self.fabric.all_reduce(flat, reduce_op="sum")
        assert isinstance(total, Tensor)
        *parts, used = torch.split(total, [*(p.numel() for p in parameters), len(parameters)])
        for parameter, part, users in zip(parameters, parts, used.tolist(), strict=True):
            parameter.grad = part.view_as(parameter) if users else None

    def _shared(self, found: list[Losses]) -> Losses:
        """Mean of each value over all examples of all processes that have it."""
        names = ("loss", "present", "absent", "dice_first", "dice_last")
        table = torch.zeros(2, len(names), dtype=torch.float64, device=self.fabric.device)
        for losses in found:
            for column, name in enumerate(names):
                if name in losses:
                    table[0, column] += losses[name]
                    table[1, column] += 1
        total = self.fabric.all_reduce(table, reduce_op="sum")
        assert isinstance(total, Tensor)
        return {
            name: float(total[0, column] / total[1, column])
            for column, name in enumerate(names)
            if total[1, column]
        }

    def _update_average(self) -> None:
        # The usual ramp: an average of few steps must forget the initial weights quickly.
        decay = min(self.recipe.ema, (self.step + 1) / (self.step + 10))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def fit(
        self,
        cases: list[Prepared],
        held_out: list[Prepared],
        *,
        until: float | None = None,
        enough: Callable[[Mapping[str, float]], bool] = lambda found: False,
    ) -> None:
        """Train to the last step, or to the wall-clock time `until` (seconds since the epoch).

        Args:
            cases: to train on.
            held_out: to validate on.
            until: None: no limit.
            enough: told the result of each validation (by the first process); True ends the stage.
        """
        if self.done:
            return
        examples = Examples(
            cases,
            self.recipe,
            self.number,
            self.step,
            self.length,
            self.fabric.global_rank,
            self.fabric.world_size,
        )
        loader = torch.utils.data.DataLoader(
            examples, batch_size=None, num_workers=1, prefetch_factor=4
        )
        every = self.stage.interval(len(cases), self.fabric.world_size)
        started = time.time()
        for step, batch in loader:
            losses = self.train_step(batch)
            if self.step % LOG_EVERY == 0 or self.done:
                self._log({**losses, "seconds": (time.time() - started) / LOG_EVERY})
                started = time.time()
            if self.step % CHECKPOINT_EVERY == 0 or self.done:
                self.save()
            if (every and self.step % every == 0) or self.done:
                found = self._validate(held_out)
                if self.fabric.broadcast(bool(found) and enough(found)):
                    log.info("no gain on held-out cases: stopped at step %d", step + 1)
                    break
            if self._late(until):
                log.info("out of time at step %d of %d", step + 1, self.length)
                break
        self.save()

    def _late(self, until: float | None) -> bool:
        """The first process's clock decides for all."""
        late = until is not None and time.time() > until
        return bool(self.fabric.broadcast(late))

    def _validate(self, held_out: list[Prepared]) -> dict[str, float]:
        """Dice of the weight average on held-out patches, and a picture; by the first process."""
        if not held_out or not self.fabric.is_global_zero:
            return {}
        model = voxel_by_voxel(Vista3D(self.recipe.network).to(self.fabric.device)).eval()
        model.load_state_dict(self.average)
        picture = self.folder / f"validation_{self.step:06d}.png"
        found = validate(model, self.stage, held_out, picture)
        self._log(found)
        return found

    def _log(self, values: Mapping[str, float]) -> None:
        """To the log, to log.csv (long form: step, name, value) and to TensorBoard."""
        if not self.fabric.is_global_zero:
            return
        log.info("%s step %d: %s", self.stage.name, self.step,
                 ", ".join(f"{name} {value:.4f}" for name, value in values.items()))  # fmt: skip
        with (self.folder / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerows(
                (self.step, name, f"{value:.6f}") for name, value in values.items()
            )
        scalars = {f"{self.stage.name}/{name}": value for name, value in values.items()}
        self.fabric.log_dict(scalars, step=self.step)
