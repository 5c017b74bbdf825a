"""A recipe small enough for tests, and a way to run it in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning_fabric import Fabric
from torch import Tensor

from vista3d.network.config import NetworkConfig
from vista3d.training.data.prepared import Prepared
from vista3d.training.examples import Examples
from vista3d.training.learner import Losses
from vista3d.training.recipe import AutoStage, PointStage, Recipe
from vista3d.training.sampler import WITHOUT_SUPERVOXELS
from vista3d.training.stage_run import StageRun

TINY = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8)

AUTO = AutoStage(
    name="auto",
    parts=("encoder", "auto"),
    patch=32,
    steps=6,
    learning_rate=1e-3,
    warmup=2,
    clip=1.0,
)
POINTS = PointStage(
    name="points",
    parts=("points",),
    patch=48,
    window=32,
    views=2,
    steps=6,
    targets=2,
    rounds=2,
    balance=1.0,
    learning_rate=1e-3,
    head_rate=1e-3,
    shares=WITHOUT_SUPERVOXELS,
)


def recipe(*stages: AutoStage | PointStage) -> Recipe:
    return Recipe("tiny", TINY, 4.0, stages, ema=0.9)


def fabric() -> Fabric:
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


def start(
    stage: AutoStage | PointStage, folder: Path, initial: Mapping[str, Tensor] | None = None
) -> StageRun:
    return StageRun(recipe(stage), 0, folder, fabric(), stage.steps, initial)


def losses(run: StageRun, cases: list[Prepared], upto: int) -> list[Losses]:
    """Losses of the steps before `upto`, without loader processes."""
    examples = Examples(cases, run.recipe, run.number, run.step, run.length)
    batch = run.stage.batch
    found = []
    while run.step < upto:
        found.append(run.train_step([examples.example(run.step, slot) for slot in range(batch)]))
    return found
