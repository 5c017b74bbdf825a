"""One contender of the `training` benchmark, in a process of its own.

`python -m benchmarks.training_contender NAME SIZES STAGE PATCH PATCHES DATA FOLDER` prints, as
JSON, what drawing each patch and learning from it took, in seconds and in seconds of all cores
(what other processes do hardly changes those). NAME is ours-paper, ours-mini, monai-fp32 or
monai-bf16.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.contenders import CONFIGS
from benchmarks.machine import peak_gib
from vista3d.network.config import NetworkConfig
from vista3d.training.data.case import Case
from vista3d.training.data.cases import read_cases
from vista3d.training.recipe import MINI, PAPER, PointStage, Recipe

SPACING = {"official": PAPER.spacing, "mini": MINI.spacing}

STAGES = {
    "paper": {"clicks": PAPER.stages[1], "classes": PAPER.stages[2]},
    "mini": {"clicks": replace(MINI.stages[3], lead_in=0), "classes": MINI.stages[0]},  # type: ignore[call-arg]
}
"""Without supervoxels on either side. `paper` is what the released loop does; `mini` is how the
shipped model was trained."""


@dataclass(frozen=True)
class Taken:
    """Time: of the clock, and of all cores of this process."""

    wall: float
    cpu: float

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, parts: int) -> Taken:
        return Taken(self.wall / parts, self.cpu / parts)


def now() -> Taken:
    """Since some time ago."""
    return Taken(time.perf_counter(), time.process_time())


Patches = list[dict[str, Taken]]
"""What "draw" and "learn" took, per patch."""


def recipe_of(stage_of: str, sizes: str, stage_name: str, patch: int) -> Recipe:
    """A recipe of one stage at these sizes."""
    stage = STAGES[stage_of][stage_name]
    if stage_of == "paper":
        stage = replace(stage, patch=patch)
        if isinstance(stage, PointStage):
            stage = replace(stage, window=patch)
    return Recipe("benchmark", CONFIGS[sizes], SPACING[sizes], (stage,))


def ours(recipe: Recipe, cases: list[Case], patches: int, folder: Path) -> Patches:
    """Our stage loop: one optimiser step per patch; scans prepared once, outside the clock."""
    from lightning_fabric import Fabric

    from vista3d.training.examples import Examples, prepare_all
    from vista3d.training.stage_run import StageRun

    prepared = prepare_all(cases, folder / "prepared", recipe.spacing)
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    run = StageRun(recipe, 0, Path(mkdtemp(dir=folder)), fabric, length=patches)
    examples = Examples(prepared, recipe, 0, 0, patches)
    found: Patches = []
    while len(found) < patches:
        start = now()
        example = examples.example(run.step)
        drawn = now()
        if run.train_step([example]):  # else a patch of air: neither side counts those
            found.append({"draw": drawn - start, "learn": now() - drawn})
    return found


def released(
    config: NetworkConfig, recipe: Recipe, cases: list[Case], patches: int, *, autocast: bool
) -> Patches:
    """The released loop: two patches of each reading of a scan, five optimiser steps a patch."""
    from benchmarks.released_loop import ReleasedLoop

    (stage,) = recipe.stages
    loop = ReleasedLoop(
        config, cases, recipe.spacing, stage.patch,
        clicks=isinstance(stage, PointStage), autocast=autocast,
    )  # fmt: skip
    found: Patches = []
    while len(found) < patches:
        start = now()
        pair = list(loop.draw())
        drawing = (now() - start) / len(pair)
        for item in pair[: patches - len(found)]:
            start = now()
            if loop.learn(*item):
                found.append({"draw": drawing, "learn": now() - start})
    return found


def main() -> None:
    name, sizes, stage, patch, patches, data, folder = sys.argv[1:8]
    maker, kind = name.split("-")
    cases = [case for case in read_cases(Path(data)) if case.image is not None]
    recipe = recipe_of(kind if maker == "ours" else "paper", sizes, stage, int(patch))
    if maker == "ours":
        found = ours(recipe, cases, int(patches), Path(folder))
    else:
        found = released(CONFIGS[sizes], recipe, cases, int(patches), autocast=kind == "bf16")
    taken = [{part: asdict(value) for part, value in patch_.items()} for patch_ in found]
    print(json.dumps({"patch": recipe.stages[0].patch, "taken": taken, "peak_gib": peak_gib()}))


if __name__ == "__main__":
    main()
