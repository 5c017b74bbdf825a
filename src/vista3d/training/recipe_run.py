"""A whole recipe: its stages one after the other, each from the weights of the one before.

RUN/<stage>/state.pt      network, weight average, optimiser, step
            log.csv       step, name, value
            model.json    what a model of its weights says of itself; with it a stage is finished
            validation_*.png      a held-out patch a column
RUN/model.safetensors     of the last stage that began
RUN/recipe.json           settings, scans and initial model: a folder is for one of each
RUN/tensorboard/
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor

from vista3d.errors import InputError, UsageError
from vista3d.network.metadata import CheckpointMeta
from vista3d.training.best import Best
from vista3d.training.data.case import Case
from vista3d.training.data.prepared import Prepared
from vista3d.training.data.store import DEFAULT_BYTES
from vista3d.training.examples import prepare_all
from vista3d.training.export import export, finished_stage, keep_finished
from vista3d.training.initial import adopt_decoder
from vista3d.training.recipe import AutoStage, PointStage, Recipe, Stage
from vista3d.training.run_folder import claim
from vista3d.training.stage_run import StageRun

log = logging.getLogger(__name__)

_LATER = {
    "augmentation", "loss", "label_maps", "taught", "validate_epochs", "keep_best",
}  # fmt: skip
"""Settings of stages that runs begun before November 2026 do not have in their `recipe.json`."""


def make_fabric(device: str, processes: int | None, output: Path) -> Fabric:
    """Launched: in each of its processes, with TensorBoard logs in `output`.

    What is computed in half precision is decided where it is computed (`precision.mixed`).

    Args:
        device: "cpu", "cuda" or "auto".
        processes: on this machine; None: as many as torchrun started, and one without it.
        output: run folder.

    Raises:
        UsageError: torchrun started another number, or not the same on every machine.
    """
    here, machines = _layout(processes)
    fabric = Fabric(
        accelerator=device,
        devices=here,
        num_nodes=machines,
        strategy="ddp" if here * machines > 1 else "auto",
        loggers=TensorBoardLogger(output, name="tensorboard", version=""),
    )
    fabric.launch()
    return fabric


def _layout(processes: int | None) -> tuple[int, int]:
    """Processes on this machine, and machines; torchrun has started them and says how many."""
    if not TorchElasticEnvironment.detect():
        return processes or 1, 1
    names = ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "WORLD_SIZE")
    here, machines, everywhere = (int(os.environ[name]) for name in names)
    if processes not in (None, here):
        msg = f"--processes {processes}, and torchrun started {here} on this machine: leave it out"
        raise UsageError(msg)
    if here * machines != everywhere:
        msg = f"torchrun started {everywhere} processes on {machines} machines, {here} on this one:"
        msg += " give --nproc-per-node the same number on every machine"
        raise UsageError(msg)
    return here, machines


def run_recipe(
    recipe: Recipe,
    cases: list[Case],
    held_out: list[Case],
    output: Path,
    fabric: Fabric,
    *,
    cache: Path | None = None,
    cache_bytes: int = DEFAULT_BYTES,
    initial: tuple[Mapping[str, Tensor], CheckpointMeta] | None = None,
    until: float | None = None,
) -> bool:
    """Train, or go on training.

    Args:
        recipe: what.
        cases: to train on.
        held_out: to validate on.
        output: run folder.
        fabric: see `make_fabric`.
        cache: of prepared volumes; None: in the run folder.
        cache_bytes: that it may hold.
        initial: weights to start from, and what they say of themselves.
        until: wall-clock time to stop at (seconds since the epoch).

    Returns:
        Whether all stages are done.

    Raises:
        UsageError: the folder holds a run of another recipe, of other scans or labels, or from
            other weights; or machines do not share it.
        InputError: nothing to learn from.
    """
    require_some(cases, recipe)
    weights, before = (None, None) if initial is None else initial
    claim(output / "recipe.json", _content(recipe, cases, before), fabric)
    store = cache or output / "prepared"
    place = fabric.global_rank, fabric.world_size
    validated = prepare_all(held_out, store, recipe.spacing, None, place, cache_bytes)
    for number, stage in enumerate(recipe.stages):
        folder = output / stage.name
        finished = finished_stage(folder)
        if finished is not None:
            weights, before = finished
            continue
        if isinstance(stage, PointStage):
            if not _unclicked(before):
                recipe = _without_lead_in(recipe, number, stage)
            elif weights is not None:
                weights = adopt_decoder(weights)
        segments = recipe.segments if isinstance(stage, PointStage) and stage.supervoxels else None
        taking_part = _taking_part(cases, stage)
        prepared = prepare_all(taking_part, store, recipe.spacing, segments, place, cache_bytes)
        length = stage.length(len(prepared), fabric.world_size)
        run = StageRun(recipe, number, folder, fabric, length, weights)
        if isinstance(stage, AutoStage) and stage.keep_best:
            _fit_to_best(run, prepared, validated, until)
        else:
            run.fit(prepared, validated, until=until)
        if fabric.is_global_zero:
            before = export(run, prepared, output / "model.safetensors", before)
            if run.done:
                keep_finished(folder, before)
        if not run.done:
            return False
        weights = run.average
        before = fabric.broadcast(before)
    return True


def _taking_part(cases: list[Case], stage: Stage) -> list[Case]:
    """The cases that a stage trains on."""
    return [
        case for case in cases
        if (stage.label_maps or case.image is not None)
        and (stage.taught or case.label is not None)
    ]  # fmt: skip


def require_some(cases: list[Case], recipe: Recipe) -> None:
    """Refuse to begin what would end at a stage that has nothing to learn from.

    Raises:
        InputError: a stage has nothing.
    """
    for stage in recipe.stages:
        _require_some(cases, stage)


def _require_some(cases: list[Case], stage: Stage) -> None:
    taking_part = _taking_part(cases, stage)
    if any(case.source.weight > 0 for case in taking_part):
        return
    msg = f"none of the {len(cases)} scans to train on has labels and a weight above 0"
    if len(taking_part) < len(cases):
        kinds = {"label maps without a scan": stage.label_maps, "pseudo-labels": stage.taught}
        left = " and ".join(name for name, used in kinds.items() if not used)
        msg = f"stage {stage.name} trains on no {left}, and {msg} beside them"
    raise InputError(msg + ": see `vista3d data check`, and the mapping file")


def _fit_to_best(
    run: StageRun, cases: list[Prepared], held_out: list[Prepared], until: float | None
) -> None:
    """Train a stage to its end; it leaves the weights of its best validation."""
    best = Best(run, gain=0.0)
    run.fit(cases, held_out, until=until, enough=best)
    run.average = dict(best.weights())
    if run.done:
        run.save()  # what the next stage starts from, also after a restart


def _unclicked(before: CheckpointMeta | None) -> bool:
    """Whether the point branch starts from nothing."""
    return before is None or before.clicks_untrained


def _without_lead_in(recipe: Recipe, number: int, stage: PointStage) -> Recipe:
    """A head that knows what a click is keeps what it learned: no new attention, no balls."""
    stages = list(recipe.stages)
    stages[number] = replace(stage, lead_in=0)
    return replace(recipe, stages=tuple(stages))


def _content(recipe: Recipe, cases: list[Case], before: CheckpointMeta | None) -> dict[str, Any]:
    """What makes a run another one."""
    return {
        **asdict(recipe),
        "stages": list(map(_settings, recipe.stages)),
        "scans": sorted(f"{case.source.name}/{case.name}" for case in cases),
        "labels": _digest(cases),
        "initial": None if before is None else json.loads(before.to_json()),
    }


def _settings(stage: Stage) -> dict[str, Any]:
    """Of a stage; those of `_LATER` only where they change something, so that older runs go on."""
    before = {f.name: f.default for f in fields(stage) if f.name in _LATER}
    own = asdict(stage)
    return {name: value for name, value in own.items() if value != before.get(name, ...)}


def _digest(cases: list[Case]) -> str:
    """Of what the labels of all scans mean: another mapping file is another run."""
    meant = sorted(
        (case.source.name, case.name, sorted(case.mapping.items()), sorted(case.annotated),
         None if case.pseudo is None else sorted(case.pseudo.classes), case.source.weight)
        for case in cases
    )  # fmt: skip
    return hashlib.sha256(repr(meant).encode()).hexdigest()
