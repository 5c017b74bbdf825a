"""A fine-tuning run, all decided: what was asked, the scans, the plan; and its course."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from vista3d.anatomy import Vocabulary
from vista3d.errors import UsageError
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.training.best import Best
from vista3d.training.data.case import Case
from vista3d.training.data.prepared import Prepared
from vista3d.training.data.store import DEFAULT_BYTES
from vista3d.training.examples import prepare_all
from vista3d.training.finetuning.export import describe, write_model
from vista3d.training.finetuning.nearest import nearest_class, with_row
from vista3d.training.finetuning.plan import PIECES, Pieces, Plan, make_plan
from vista3d.training.finetuning.scans import Scans, choose
from vista3d.training.finetuning.stages import (
    MODES,
    PATIENCE,
    STEPS,
    Mode,
    auto_stage,
    point_stage,
)
from vista3d.training.finetuning.targets import Target, parse_targets
from vista3d.training.finetuning.timed import Clock, TimedRun
from vista3d.training.recipe import AutoStage, PointStage, Recipe
from vista3d.training.recipe_run import make_fabric
from vista3d.training.run_folder import claim
from vista3d.training.stage_run import StageRun
from vista3d.training.validation import shown

log = logging.getLogger(__name__)

EMA = 0.998
"""Decay of the weight average that is validated and written."""

CLICKS = 0.5
"""Time and steps of the clicks: this share of those of the automatic branch, on top of them."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked, as in `finetune`: a run folder is for one request."""

    map: str
    cases: int | None = None
    mode: Mode = "full"
    points: bool = False
    minutes: float = 20.0
    steps: int = STEPS
    learning_rate: float | None = None
    spacing: float | None = None
    patch: int | None = None
    pieces: Pieces = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError."""
        names = ("cases", "minutes", "steps", "learning_rate", "spacing", "patch")
        numbers = {name: getattr(self, name) for name in names}
        wrong = {name: n for name, n in numbers.items() if n is not None and n <= 0}
        for name, number in wrong.items():
            msg = f"{name} {number} must be above 0"
            raise UsageError(msg)
        for name, known in (("mode", MODES), ("pieces", PIECES)):
            if getattr(self, name) not in known:
                msg = f"{name} {getattr(self, name)!r} is not one of {', '.join(known)}"
                raise UsageError(msg)


def plan_job(
    asked: Request,
    base: CheckpointMeta,
    dataset: Path,
    output: Path,
    device: str = "auto",
    cache: Path | None = None,
    cache_bytes: int = DEFAULT_BYTES,
) -> Job:
    """Choose the scans, measure them, and decide; or find that this was done before.

    Args:
        asked: what is wanted.
        base: of the model to start from, or to compare with from scratch.
        dataset, output, device, cache, cache_bytes: see `finetune`.

    Raises:
        As `finetune`.
    """
    if asked.points and base.clicks_untrained:
        msg = f"the point branch of model {base.name!r} was never trained: leave out `points`"
        raise UsageError(msg)
    step = base.config.divisor
    # Of one step a voxel is left at the lowest level, which cannot be normalised.
    if asked.patch and (asked.patch % step or asked.patch < 2 * step):
        msg = f"patch {asked.patch} must be a multiple of {step} from {2 * step} on, such as 64"
        raise UsageError(msg)
    targets = parse_targets(asked.map, Vocabulary.of(base.names), base.config.embeddings)
    scans = choose(dataset, targets, asked.cases)
    fabric = make_fabric(device, None, output)
    if fabric.world_size > 1:
        msg = "fine-tuning is the work of one process: start it without torchrun"
        raise UsageError(msg)
    plan = make_plan(
        scans.measured, targets, base, spacing=asked.spacing, patch=asked.patch,
        pieces=asked.pieces,
        accelerator=fabric.device.type != "cpu",
    )  # fmt: skip
    job = Job(
        output, fabric, scans, targets, plan, base, asked, cache or output / "prepared", cache_bytes
    )
    claim(output / "plan.json", job.content(), fabric)
    return job


@dataclass(frozen=True)
class Job:
    """A run, all decided.

    Attributes:
        output: run folder.
        fabric: launched.
        scans, targets, plan: what is learned from what, and how.
        base: of the model that is started from.
        asked: the request.
        cache: folder of prepared scans.
        cache_bytes: that it may hold.
        clock: that the minutes are measured with.
    """

    output: Path
    fabric: Fabric
    scans: Scans
    targets: tuple[Target, ...]
    plan: Plan
    base: CheckpointMeta
    asked: Request
    cache: Path
    cache_bytes: int = DEFAULT_BYTES
    clock: Clock = time.time

    def content(self) -> dict[str, Any]:
        """What makes a run another one."""
        return {
            **asdict(self.asked),
            "base": self.base.name,
            "train": [case.name for case in self.scans.train],
            "held_out": [case.name for case in self.scans.held_out],
            "plan": asdict(self.plan),
        }

    def run(self, weights: dict[str, Tensor] | None) -> None:
        """Train all stages and write the model, unless that is done.

        Args:
            weights: to start from; None: random ones, for comparison.
        """
        path = self.output / "model.safetensors"
        if path.is_file():
            log.info("%s is finished", self.output)
            return
        train, held_out = (self._prepared(c) for c in (self.scans.train, self.scans.held_out))
        self._warn_of_unseen(held_out)
        if weights is not None:
            weights = self._with_new_rows(weights, train)
        runs: list[StageRun] = []
        start: Mapping[str, Tensor] | None = weights
        for name in ("auto", "points") if self.asked.points else ("auto",):
            done = self._stage(name, train, held_out, start)
            runs.append(done)
            start = done.average
        name = f"{self.base.name}+{self.output.resolve().name}"
        meta = describe(runs, self.plan, self.targets, self.base, name, self.scans)
        write_model(path, runs, meta)

    def _warn_of_unseen(self, held_out: list[Prepared]) -> None:
        """Say what no held-out scan shows: when to stop is decided without it."""
        seen = frozenset[int]().union(*map(shown, held_out))
        unseen = [target.label for target in self.targets if target.class_id not in seen]
        if held_out and unseen:
            left = "the others decide when to stop" if seen else "training goes on to its end"
            log.warning("no held-out scan shows %s: %s", ", ".join(unseen), left)

    def _prepared(self, cases: tuple[Case, ...]) -> list[Prepared]:
        """On the model's grid; the background is as frequent as a class, as in the released loop.

        With the 10% of `vista3d train`, 50 steps on the mandibles of five scans left 383 voxels in
        planes of another patient that have none; with this, 73.
        """
        plan = self.plan
        anywhere = max(0.1, 1 / (1 + len(self.targets)))
        intensity = None if plan.hounsfield else plan.intensity

        def placed(case: Case) -> Case:
            source = replace(
                case.source, mirror=plan.mirror, anywhere=anywhere, intensity=intensity
            )
            return replace(case, source=source)

        return prepare_all(
            list(map(placed, cases)), self.cache, plan.spacing, max_bytes=self.cache_bytes
        )

    def _with_new_rows(
        self, weights: dict[str, Tensor], cases: list[Prepared]
    ) -> dict[str, Tensor]:
        """Classes that the model has never learned start at their nearest one."""
        model = Vista3D(self.base.config).eval()
        model.load_state_dict(weights)
        model.to(self.fabric.device)
        vocabulary = Vocabulary.of(self.base.names)
        for target in self.targets:
            if target.class_id in self.base.classes:
                continue
            source = nearest_class(
                model, target.class_id, self.base.classes, cases, self.plan.patch
            )
            if source is not None:
                name = target.name or vocabulary.by_id(target.class_id).name
                log.info("%s starts from %s", name, vocabulary.by_id(source).name)
                weights = with_row(weights, target.class_id, source)
        return weights

    def _recipe(self, name: str) -> Recipe:
        asked = self.asked
        stage: AutoStage | PointStage = (
            auto_stage(asked.mode, self.plan.patch, asked.steps, asked.learning_rate)
            if name == "auto"
            else point_stage(self.base, math.ceil(CLICKS * asked.steps))
        )
        return Recipe(
            "finetune", self.base.config, self.plan.spacing, (stage,),
            ema=EMA, seed=asked.seed,
        )  # fmt: skip

    def _stage(
        self,
        name: str,
        train: list[Prepared],
        held_out: list[Prepared],
        start: Mapping[str, Tensor] | None,
    ) -> StageRun:
        """Train one stage for its share of time and steps; its `average` is what it leaves.

        The best weights where it stopped early, the last ones where its learning rate fell to zero:
        one to three held-out scans cannot tell a late one from the best (docs/finetune.md).
        """
        folder = self.output / name
        recipe = self._recipe(name)
        (stage,) = recipe.stages
        run = TimedRun(recipe, 0, folder, self.fabric, stage.steps, start)
        share = CLICKS if isinstance(stage, PointStage) else 1.0
        run.limit(60 * share * self.asked.minutes, self.clock)
        if isinstance(run.stage, PointStage):
            run.fit(train, held_out)
            return run
        best = Best(run, PATIENCE)
        if not best.stalled:
            run.fit(train, held_out, enough=best)
        if best.stalled:
            run.average = dict(best.weights())
        return run
