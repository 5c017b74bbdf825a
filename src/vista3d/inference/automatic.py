"""Automatic segmentation of one scan (paper section 3.2, "Automatic branch")."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vista3d.anatomy import STRUCTURES, Structure, Vocabulary
from vista3d.errors import UsageError
from vista3d.inference import workers
from vista3d.inference.blending import RollingFeatures, WindowPlan, plan_windows
from vista3d.inference.body import body
from vista3d.inference.budget import (
    Budget,
    Demand,
    Supply,
    available_memory,
    device_memory,
    free_disk,
    plan_memory,
    scratch_folder,
    window_bytes,
)
from vista3d.inference.labelling import ClassTable, LabelMap, Output, PerClass, Sink
from vista3d.inference.lungs import AIRY, LOBES, SPARED, missing_lung
from vista3d.inference.pieces import keep_surest
from vista3d.inference.presets import Preset
from vista3d.inference.runtimes import Runtime
from vista3d.inference.schedule import Schedule, make_schedule
from vista3d.inference.specks import organs, remove_specks
from vista3d.inference.tiles import Tile, plan_tiles
from vista3d.inference.watch import Watch
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.volume import (
    ModelGrid,
    Volume,
    bounding_box,
    labels_to_model,
    normalise,
    prepare,
    restore_labels,
)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result for one scan.

    Attributes:
        labels: [i, j, k] global ids on the scan's own grid, 0 background; uint8, or uint16 where
            an id is above 255.
        volume: the scan.
        classes: ids that were asked for, found or not.
        vocabulary: of the model; says what the ids are called.
        probabilities: per class float16 [i, j, k], of exclusive classes its share against
            background and all others; where asked for. Nothing is removed from them, or added.
        masks: per class bool [i, j, k]; they may overlap, unless classes are exclusive: then they
            are those of the labels; where asked for.
        evidence: float16 [i, j, k], the logit against background, that of the label or, of
            exclusive classes, of all together; where asked for. It is above 0 at every label, and
            a margin of all classes is taken off it. (Not where lungs were completed.)
        run: how it was made: model, device, precision, timings, memory, windows, versions.
    """

    labels: np.ndarray
    volume: Volume
    classes: tuple[int, ...]
    probabilities: dict[int, np.ndarray] | None = None
    masks: dict[int, np.ndarray] | None = None
    evidence: np.ndarray | None = None
    run: dict[str, Any] = field(default_factory=dict)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @property
    def structures(self) -> tuple[Structure, ...]:
        """What was asked for: names, colours, codes."""
        return tuple(self.vocabulary.by_id(i) for i in self.classes)


@dataclass(frozen=True, eq=False)
class Engine:
    """What a scan is segmented with: network, its settings, and the runtime of its windows."""

    network: Vista3D
    meta: CheckpointMeta
    runtime: Runtime

    def class_table(self, classes: tuple[int, ...], device: str) -> ClassTable:
        """What makes the classes' logits: the class head's MLP is run once, not per window."""
        home = self.network.class_head.class_embeddings.weight.device
        with torch.inference_mode():
            vectors = self.network.class_table(torch.tensor(classes, device=home))
        margins = torch.tensor([self.meta.margins.get(i, 0.0) for i in classes], device=device)
        return ClassTable(vectors.float().to(device), margins)


def segment_volume(
    engine: Engine,
    volume: Volume,
    classes: tuple[int, ...],
    preset: Preset,
    output: Output,
    watch: Watch,
    memory_limit: int | None = None,
) -> Segmentation:
    """Prepare; then run windows row by row, labelling what is final. `classes`: global ids.

    Raises:
        CancelledError, MemoryBudgetError, UsageError.
    """
    if not classes:
        msg = "no class to segment: name one, or 'everything'"
        raise UsageError(msg)
    meta, shape = engine.meta, volume.geometry.shape
    # Exclusive classes compete whether they are asked for or not: else a liver asked for alone
    # would spread into the spleen, and its volume depend on what else is asked.
    rivals = tuple(i for i in meta.classes if i not in classes) if meta.exclusive else ()
    with watch.timed("preparing") as step:
        step(0, 1)
        hu, grid = prepare(volume, meta.spacing, crop=preset.crop, margin=preset.margin)
        plan = plan_windows(hu, meta.window, preset)
        tiles = plan_tiles(grid.geometry.shape, grid.to_model, shape, preset.upsampling)
        schedule = make_schedule(plan, tiles)
    scratch = scratch_folder()
    single = tuple(i for i in classes if i in meta.single)
    weighed = bool(single) or output == "evidence"
    bytes_per_class = {"labels": 0, "evidence": 0, "masks": 1, "probabilities": 2}[output]
    result = volume.array.size * (2 + 2 * weighed + bytes_per_class * len(classes))
    demand = _demand(engine, volume, plan, schedule, result)
    supply = _supply(engine.runtime.device, volume.array.nbytes + hu.nbytes, scratch, memory_limit)
    budget = plan_memory(demand, supply, half=engine.runtime.precision != "fp32")
    with _feature_store(budget, engine, plan, schedule, scratch) as store:
        table = engine.class_table(classes + rivals, str(store.device))
        human = meta.exclusive and set(meta.classes) <= STRUCTURES.keys()
        has_lungs = human and set(LOBES) <= set(meta.classes)
        hidden = tuple(i for i in rivals if has_lungs and i in LOBES + SPARED)
        names = classes + tuple(i if i in hidden else 0 for i in rivals)
        label_map = LabelMap(table, names, shape, exclusive=meta.exclusive, evidence=weighed)
        sinks: list[Sink] = [label_map]
        per_class = None
        if output == "probabilities" or (output == "masks" and not meta.exclusive):
            asked = table.rows(slice(len(classes)))
            total = table if meta.exclusive else None
            per_class = PerClass(asked, classes, shape, output, total)
            sinks.append(per_class)
        # Published weights answer as released, and classes of a model's own may be of anything.
        within = body(hu, grid.geometry.spacing) if human else None
        run_schedule(engine, hu, plan, schedule, preset, store, sinks, watch, within)
    searched = organs(classes + hidden) if meta.exclusive else ()
    specks = remove_specks(label_map.labels, volume.geometry.spacing, searched)
    lung = _complete_lungs(label_map.labels, volume, hu, grid) if has_lungs else 0.0
    if hidden:
        label_map.labels[np.isin(label_map.labels, hidden)] = 0
    pieces = keep_surest(label_map.labels, label_map.evidence, single)
    run = {
        "windows": len(plan.starts),
        "windows_skipped": plan.skipped,
        "specks_removed": specks,
        "pieces_removed": pieces,
        "lung_completed_ml": round(lung, 1),
        "model_grid": list(grid.geometry.shape),
        "feature_planes": schedule.planes,
        "memory": budget.summary(),
        "seconds_by_step": watch.seconds,
    }
    extra: dict[str, Any] = {} if per_class is None else {output: per_class.volumes}
    if output == "evidence":
        extra = {"evidence": label_map.evidence}
    if output == "masks" and meta.exclusive:
        extra = {"masks": {i: label_map.labels == i for i in classes}}
    return Segmentation(label_map.labels, volume, classes, run=run, **extra)


def run_schedule(
    engine: Engine,
    hu: np.ndarray,
    plan: WindowPlan,
    schedule: Schedule,
    preset: Preset,
    store: Tensor,
    sinks: list[Sink],
    watch: Watch,
    within: np.ndarray | None = None,
) -> None:
    """Run all windows of hu [h, w, d] and give every tile to every sink.

    Outside of `within` bool [h, w, d] features are 0, as in windows without body.
    """
    features = RollingFeatures(store, plan.axis)
    features.advance(schedule.first)
    weight, total = plan.weights(preset)
    scale = intensity(engine.meta, hu)
    done, last = 0, len(schedule.rounds) - 1
    for number, part in enumerate(schedule.rounds):
        with watch.timed("segmenting") as step:
            step(done, len(plan.starts))
            for start in part.starts:
                inside, local = plan.grid.inside(start)
                patch = pad_patch(hu[inside], local, plan.grid.window, preset.padding)
                found = engine.runtime.tensor(normalise(patch, *scale))
                share = torch.from_numpy(weight[local] / total[inside]).to(store.device)
                if within is not None:
                    share *= torch.from_numpy(within[inside]).to(store.device)
                features.add(found[(slice(None), *local)].to(store.device), inside, share)
                done += 1
                step(done, len(plan.starts))
        # Labels of earlier rows are made in between; the last ones are a step of their own.
        with watch.timed("labelling", quiet=number < last) as step:
            label = functools.partial(_take_tile, features, sinks)
            if store.device.type == "cpu":
                workers.each(label, part.tiles, step)
            else:
                for count, tile in enumerate(part.tiles):
                    step(count, len(part.tiles))
                    label(tile)
        features.advance(part.first)


def _complete_lungs(labels: np.ndarray, volume: Volume, hu: np.ndarray, grid: ModelGrid) -> float:
    """Add to labels [i, j, k] what the lungs lack; mL.

    Regions are looked for on the model grid hu [h, w, d], and cut out on the scan's own.
    """
    missing = missing_lung(labels_to_model(labels, grid), hu, grid.geometry.spacing)
    if not missing.any():
        return 0.0
    lobes = restore_labels(missing, grid)
    box = bounding_box(lobes) or ()
    own = np.isin(labels[box], LOBES + SPARED)
    added = (lobes[box] > 0) & (volume.array[box] < AIRY) & ~own
    np.copyto(labels[box], lobes[box], where=added, casting="same_kind")
    return float(np.count_nonzero(added) * np.prod(volume.geometry.spacing) / 1000)


def _take_tile(features: RollingFeatures, sinks: list[Sink], tile: Tile) -> None:
    """Tiles do not overlap: any number of threads may do this at once."""
    with torch.inference_mode():
        box = features.box(tile.source)
        for sink in sinks:
            sink.take(tile, box)


def intensity(meta: CheckpointMeta, hu: np.ndarray) -> tuple[float, float]:
    """HU mapped to 0 and 1: fixed, or percentiles of the cropped scan (NV-Segment-CTMR)."""
    if meta.intensity_kind == "hu":
        return meta.intensity
    low, high = np.percentile(hu, meta.intensity)
    return float(low), float(high)


def pad_patch(
    hu: np.ndarray, local: tuple[slice, ...], window: tuple[int, int, int], padding: str
) -> np.ndarray:
    """The window's voxels, padded where the volume is smaller."""
    pad = [(part.start, size - part.stop) for part, size in zip(local, window, strict=True)]
    if not any(any(sides) for sides in pad):
        return hu
    if padding == "replicate":
        return np.pad(hu, pad, mode="edge")
    return np.pad(hu, pad, constant_values=-1024)


def _demand(
    engine: Engine, volume: Volume, plan: WindowPlan, schedule: Schedule, result: int
) -> Demand:
    """Bytes from the shapes alone; `result`: those of what is made."""
    voxels = int(np.prod(plan.grid.shape))
    plane = voxels // plan.grid.shape[plan.axis]
    channels = engine.network.config.features
    return Demand(
        scan=volume.array.nbytes + 8 * voxels,
        features=4 * channels * plane * schedule.planes,
        window=window_bytes(channels, plan.grid.window, engine.runtime.precision),
        result=result,
    )


def _supply(device: str, held: int, scratch: Path, limit: int | None) -> Supply:
    """Free memory now, or the user's limit. What is already held belongs to the peak, too."""
    free = available_memory()
    host = limit if limit is not None else None if free is None else free + held
    return Supply(host, device_memory(device), free_disk(scratch))


@contextlib.contextmanager
def _feature_store(
    budget: Budget, engine: Engine, plan: WindowPlan, schedule: Schedule, scratch: Path
) -> Iterator[Tensor]:
    """Zeros [F, h, w, d] where the budget wants them; a file vanishes with the case."""
    sizes = list(plan.grid.shape)
    sizes[plan.axis] = schedule.planes
    shape = (engine.network.config.features, *sizes)
    if budget.rung == "disk":
        with tempfile.TemporaryDirectory(prefix="vista3d-", dir=scratch) as folder:
            mapped = np.memmap(Path(folder) / "features", np.float32, "w+", shape=shape)
            yield torch.from_numpy(mapped)
        return
    device = engine.runtime.device if budget.rung == "device" else "cpu"
    dtype = torch.float16 if budget.rung == "half" else torch.float32
    yield torch.zeros(shape, dtype=dtype, device=device)
