"""Automatic segmentation of one scan (paper section 3.2, "Automatic branch")."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from vista3d.errors import CancelledError, UsageError
from vista3d.inference.blending import blend_features
from vista3d.inference.budget import Budget, available_memory, plan_memory
from vista3d.inference.labelling import class_logits, label_volume
from vista3d.inference.presets import Preset
from vista3d.inference.runtimes import Runtime
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.volume import ModelGrid, Volume, prepare

Output = Literal["labels", "probabilities", "masks"]


@dataclass(frozen=True)
class Progress:
    """What is being done, and how much of it is done (0..1)."""

    step: str
    fraction: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result for one scan.

    Attributes:
        labels: [i, j, k] global ids on the scan's own grid, 0 background; uint8, or uint16 where
            an id is above 255.
        volume: the scan.
        classes: ids that were asked for, found or not.
        probabilities: per class float16 [i, j, k], where asked for.
        masks: per class bool [i, j, k]; they may overlap; where asked for.
        run: how it was made: model, device, precision, timings, memory, windows, versions.
    """

    labels: np.ndarray
    volume: Volume
    classes: tuple[int, ...]
    probabilities: dict[int, np.ndarray] | None = None
    masks: dict[int, np.ndarray] | None = None
    run: dict[str, Any] = field(default_factory=dict)


class Watch:
    """Progress out, cancellation in, and the seconds of each step."""

    def __init__(
        self, progress: Callable[[Progress], None] | None, cancel: threading.Event | None
    ) -> None:
        self._progress, self._cancel = progress, cancel
        self.seconds: dict[str, float] = {}

    def told(self, step: str) -> Callable[[int, int], None]:
        """A listener for one step's (done, total)."""

        def listen(done: int, total: int) -> None:
            if self._cancel is not None and self._cancel.is_set():
                msg = f"cancelled while {step}"
                raise CancelledError(msg)
            if self._progress is not None:
                self._progress(Progress(step, done / max(1, total)))

        return listen

    @contextlib.contextmanager
    def timed(self, step: str) -> Iterator[Callable[[int, int], None]]:
        """Time a step; yields its listener."""
        listen = self.told(step)
        listen(0, 1)
        started = time.perf_counter()
        yield listen
        self.seconds[step] = round(time.perf_counter() - started, 3)


def segment_volume(
    network: Vista3D,
    runtime: Runtime,
    meta: CheckpointMeta,
    volume: Volume,
    classes: tuple[int, ...],
    preset: Preset,
    output: Output,
    watch: Watch,
) -> Segmentation:
    """Prepare, blend, label. `classes` are expanded global ids.

    Raises:
        CancelledError, MemoryBudgetError, UsageError.
    """
    if not classes:
        msg = "no class to segment: name one, or 'everything'"
        raise UsageError(msg)
    with watch.timed("preparing"):
        hu, grid = prepare(volume, meta.spacing, crop=preset.crop, margin=preset.margin)
    budget = _budget(network, meta, volume, hu)
    with contextlib.ExitStack() as stack:
        with watch.timed("segmenting") as step:
            blend = blend_features(
                hu, meta.window, preset, _intensity(meta, hu), runtime.features,
                _allocator(budget, stack), step,
            )  # fmt: skip
        del hu
        with watch.timed("labelling") as step:
            table = _class_table(network, classes)
            labels = label_volume(
                blend.features, table, classes, grid.to_model, volume.geometry.shape, step
            )
            extra = _per_class(output, blend.features, table, classes, grid, step)
        run = {
            "windows": blend.windows,
            "windows_skipped": blend.skipped,
            "model_grid": list(grid.geometry.shape),
            "memory": budget.summary(),
            "seconds_by_step": watch.seconds,
        }
    return Segmentation(labels, volume, classes, run=run, **extra)


def _intensity(meta: CheckpointMeta, hu: np.ndarray) -> tuple[float, float]:
    """HU mapped to 0 and 1: fixed, or percentiles of the cropped scan (NV-Segment-CTMR)."""
    if meta.intensity_kind == "hu":
        return meta.intensity
    low, high = np.percentile(hu, meta.intensity)
    return float(low), float(high)


def _class_table(network: Vista3D, classes: tuple[int, ...]) -> np.ndarray:
    """The class vectors [K, F]: the class head's MLP is run once, not per window."""
    device = network.class_head.class_embeddings.weight.device
    with torch.inference_mode():
        return np.asarray(network.class_table(torch.tensor(classes, device=device)).cpu().numpy())


def _budget(network: Vista3D, meta: CheckpointMeta, volume: Volume, hu: np.ndarray) -> Budget:
    free = available_memory()
    # What is already resident is not free any more, but belongs to the peak.
    held = volume.array.nbytes + hu.nbytes
    return plan_memory(
        network.config, held, hu.size, meta.window, volume.array.size,
        None if free is None else free + held,
    )  # fmt: skip


def _allocator(
    budget: Budget, stack: contextlib.ExitStack
) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Zeros in memory, or in a temporary file that vanishes with the case."""
    if budget.rung == "memory":
        return lambda shape: np.zeros(shape, np.float32)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vista3d-"))
    return lambda shape: np.memmap(f"{folder}/features", np.float32, "w+", shape=shape)


def _per_class(
    output: Output,
    features: np.ndarray,
    table: np.ndarray,
    classes: tuple[int, ...],
    grid: ModelGrid,
    step: Callable[[int, int], None],
) -> dict[str, dict[int, np.ndarray]]:
    """Probabilities or overlapping masks of every class; memory grows with their number."""
    if output == "labels":
        return {}
    found = {}
    shape = grid.original.shape
    logits = class_logits(features, table, grid.to_model, shape)
    for done, (class_id, values) in enumerate(zip(classes, logits, strict=True)):
        step(done, len(classes))
        if output == "masks":
            found[class_id] = values > 0
        else:
            with np.errstate(over="ignore"):
                found[class_id] = (1 / (1 + np.exp(-values))).astype(np.float16)
    return {output: found}
