"""A stage that makes the most of a given time."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

from vista3d.results.json_file import write_json
from vista3d.training.examples import Example
from vista3d.training.learner import Losses
from vista3d.training.stage_run import StageRun

Clock = Callable[[], float]
"""Seconds that have passed: `time.time`, or `time.process_time` where a machine is shared."""


class TimedRun(StageRun):
    """Its learning rate reaches zero when the time is over or the steps are, whichever is first.

    With a schedule over steps alone, a slow machine would stop at a high learning rate: stopped
    after 29 of 42 steps, the held-out Dice of one run swung between 0.68 and 0.77.
    """

    _clock: Clock = time.time
    _began, _end = 0.0, math.inf
    _over = False

    def limit(self, seconds: float, clock: Clock) -> None:
        """Give it so much time, of which it may have spent some before it was stopped."""
        spent = 0.0
        if self._spent.is_file():
            kept = json.loads(self._spent.read_text())
            spent, self._over = kept["seconds"], kept["over"]
        self._clock, self._began = clock, clock() - spent
        self._end = self._began + seconds

    @property
    def _spent(self) -> Path:
        return self.folder / "time.json"

    def save(self) -> None:
        """As ever, and the time spent."""
        super().save()
        if self.fabric.is_global_zero:
            spent = {"seconds": self._clock() - self._began, "over": self._over}
            write_json(self._spent, spent)

    @property
    def done(self) -> bool:
        """Whether no step is left, or no time: the last step is validated, as any last one."""
        return self._over or super().done

    def train_step(self, examples: list[Example]) -> Losses:
        """As ever; the clock is read once a step."""
        losses = super().train_step(examples)
        self._over = bool(self.fabric.broadcast(self._clock() > self._end))
        return losses

    def _rate(self) -> float:
        spent = (self._clock() - self._began) / (self._end - self._began)
        return self.stage.rate(max(self.step, int(spent * self.length)), self.length)

    def _late(self, until: float | None) -> bool:
        return self._over
