"""The best weights of a stage by held-out Dice, and when to stop looking for better ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vista3d.training.stage_run import StageRun

GAIN = 0.002
"""Dice by which a validation must beat the best one to be a gain."""


class Best:
    """Called with every validation of a stage; survives a restart of the run.

    While nothing is found at all, no weights are the best and the stage does not end: a small
    structure is found late, and the first weights of many that find nothing are the worst of them.

    Args:
        run: the stage.
        patience: validations without a gain after which it ends; infinity: never.
        gain: Dice by which the best ones must be beaten.
    """

    def __init__(self, run: StageRun, patience: float = math.inf, gain: float = GAIN) -> None:
        self._run, self._patience, self._gain = run, patience, gain
        self._path = run.folder / "best.pt"
        self.score, self.step = 0.0, 0
        if self._path.is_file():
            state = self._read()
            self.score, self.step = state["score"], state["step"]

    def __call__(self, found: Mapping[str, float]) -> bool:
        """Keep the weights if they are the best; whether the stage should end."""
        score = found["validation"]
        if score > self.score + self._gain:
            self.score, self.step = score, self._run.step
            state = {"average": self._run.average, "score": score, "step": self.step}
            partial = self._path.with_suffix(".part")
            torch.save(state, partial)
            partial.replace(self._path)
        return self.stalled

    @property
    def stalled(self) -> bool:
        """Whether the last gain lies too far back."""
        every = self._run.stage.validate_every
        waited = self._run.step - self.step
        return self.score > 0 and every > 0 and waited >= self._patience * every

    def weights(self) -> Mapping[str, Tensor]:
        """The best weights; those of the last step where nothing was held out or found."""
        if not self._path.is_file():
            return self._run.average
        average: Mapping[str, Tensor] = self._read()["average"]
        return average

    def _read(self) -> dict[str, Any]:
        device = self._run.fabric.device
        state: dict[str, Any] = torch.load(self._path, map_location=device, weights_only=True)
        return state
