"""The user's object: load once, segment many."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vista3d import anatomy
from vista3d.errors import UsageError
from vista3d.inference.automatic import Engine, Segmentation, segment_volume
from vista3d.inference.interactive.pointing import CACHE_BYTES, PointEngine
from vista3d.inference.interactive.scene import Overlap
from vista3d.inference.interactive.session import Automatic, InteractiveSession
from vista3d.inference.labelling import Output
from vista3d.inference.presets import preset as preset_by_name
from vista3d.inference.runtimes import choose_runtime, point_runtime
from vista3d.inference.runtimes.classes import ClassPrompts
from vista3d.inference.runtimes.points import PointRuntime
from vista3d.inference.watch import Progress, Watch
from vista3d.network.checkpoint import load_checkpoint
from vista3d.network.weights import EMBEDDED, PUBLISHED, resolve
from vista3d.volume import Volume, check_ct, check_image, read

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Model(Engine):
    """A loaded network with its settings and the runtime it works on.

    Attributes:
        network: PyTorch network, eval mode.
        meta: what its checkpoint says: grid, window, classes, licence, provenance.
        runtime: where and how windows are computed.
    """

    def segment(
        self,
        volume: Volume | np.ndarray | Path | str,
        classes: str | int | Iterable[str | int] = "everything",
        *,
        affine: np.ndarray | None = None,
        modality: anatomy.Modality = "ct",
        preset: str | None = None,
        output: Output = "labels",
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        memory_limit: int | None = None,
    ) -> Segmentation:
        """Segment a scan automatically.

        Args:
            volume: a Volume, a file, or an array [i, j, k] in HU together with `affine`.
            classes: names, ids, groups, or "everything" (see `everything`).
            affine: [4, 4] voxel -> RAS+ mm, for an array.
            modality: of the scan: "ct", and of the CT+MR model "mr" (body) or "mr-brain".
            preset: "default", "bundle" or "paper" (see `presets`).
            output: "labels", or also "probabilities" or overlapping "masks" per class,
                or the "evidence" against background.
            progress: called with each step and its fraction.
            cancel: set it to stop; CancelledError follows within a window.
            memory_limit: bytes of RAM to plan with, scan included; None looks at the machine.

        Raises:
            InputError, GeometryError: the scan cannot be segmented.
            UnknownClassError: a class that does not exist or was never trained.
            UsageError: a modality that the model is not made for.
            MemoryBudgetError: predicted not to fit; nothing was started.
        """
        everything = self.everything(modality)
        ids, notes = self._classes(classes, everything)
        scan = _as_volume(volume, affine, modality)
        watch = Watch(progress, cancel)
        chosen = preset_by_name(preset)
        result = segment_volume(self, scan, ids, chosen, output, watch, memory_limit)
        about = {
            **self.described,
            "modality": modality,
            "preset": preset or "default",
            "warnings": [*scan.meta.warnings, *notes],
        }
        return replace(result, run={**about, **result.run}, vocabulary=self.vocabulary)

    def session(
        self,
        volume: Volume | np.ndarray | Path | str,
        *,
        affine: np.ndarray | None = None,
        overlap: Overlap = "overwrite",
        cache_bytes: int = CACHE_BYTES,
    ) -> InteractiveSession:
        """Segment a CT interactively.

        Args:
            volume: a Volume, a file, or an array [i, j, k] in HU together with `affine`.
            affine: [4, 4] voxel -> RAS+ mm, for an array.
            overlap: what happens where objects meet: "overwrite", "keep existing" or "allow
                overlap".
            cache_bytes: memory for windows that later clicks use again.

        Raises:
            InputError, GeometryError: the scan cannot be segmented.
            UsageError: a model whose point branch was never trained.
        """
        self._check_clicks()
        scan = _as_volume(volume, affine)
        pointer = PointEngine(self.meta, self.points, scan, cache_bytes=cache_bytes)
        return InteractiveSession(
            scan, pointer, self._automatic(scan), overlap=overlap,
            supported=self.meta.clickable, vocabulary=self.vocabulary,
        )  # fmt: skip

    def open_session(
        self,
        path: Path | str,
        volume: Volume | np.ndarray | Path | str,
        *,
        affine: np.ndarray | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> InteractiveSession:
        """Go on with a saved session of the same scan.

        Raises:
            InputError: not a session file, damaged, or of another scan.
        """
        self._check_clicks()
        scan = _as_volume(volume, affine)
        pointer = PointEngine(self.meta, self.points, scan, cache_bytes=cache_bytes)
        return InteractiveSession.load(
            path, scan, pointer, self._automatic(scan),
            supported=self.meta.clickable, vocabulary=self.vocabulary,
        )  # fmt: skip

    def everything(self, modality: anatomy.Modality = "ct") -> tuple[int, ...]:
        """Ids that "everything" means on a scan of a modality.

        All that the model was trained on; of a published model, the list it was released with.

        Raises:
            UsageError: the model is not made for the modality.
        """
        known = self.meta.modalities or ("ct",)
        if modality not in known:
            msg = (
                f"model {self.meta.name!r} is not made for modality {modality!r}, but for "
                f"{', '.join(known)}: choose one of these, or another model"
            )
            raise UsageError(msg)
        trained = self.meta.classes
        if not self.meta.modalities:
            return trained
        return tuple(i for i in anatomy.everything(modality) if i in trained)

    @property
    def described(self) -> dict[str, Any]:
        """For reports: which model, and where and how it is computed."""
        return {
            "model": self.meta.name,
            "runtime": self.runtime.name,
            "device": self.runtime.device,
            "precision": self.runtime.precision,
            "spacing": list(self.meta.spacing),
            "window": list(self.meta.window),
            "versions": _versions(),
        }

    @functools.cached_property
    def vocabulary(self) -> anatomy.Vocabulary:
        """Names of what it can be asked for: the table's, and its own new classes."""
        name = self.meta.name if self.meta.name in (*EMBEDDED, *PUBLISHED) else "FILE"
        return anatomy.Vocabulary.of(self.meta.names, self.meta.classes, name)

    @functools.cached_property
    def points(self) -> PointRuntime:
        """The point branch on the model's device: one copy for all sessions."""
        return point_runtime(self.network, self.meta.click_context, self.runtime, self._named)

    @property
    def _named(self) -> ClassPrompts | None:
        """Class prompts that answer clicks, too; of the published models clicks alone do."""
        if not (self.meta.click_memory and self.meta.exclusive):
            return None
        ids = self.meta.classes
        return ClassPrompts(ids, self.class_table(ids, self.runtime.device))

    def _check_clicks(self) -> None:
        if self.meta.clicks_untrained:
            msg = f"the point branch of model {self.meta.name!r} was not trained: use another model"
            raise UsageError(msg)
        if self.meta.clicks_left_behind:
            log.warning(
                "the encoder of %s was fine-tuned and its clicks were not: name the class of what "
                "you click, or train them, too (finetune --points)", self.meta.name,
            )  # fmt: skip

    def _automatic(self, scan: Volume) -> Automatic:
        def segment(
            classes: str | int | Iterable[str | int],
            progress: Callable[[Progress], None] | None = None,
            cancel: threading.Event | None = None,
        ) -> tuple[np.ndarray, tuple[int, ...]]:
            result = self.segment(scan, classes, progress=progress, cancel=cancel)
            return result.labels, result.classes

        return segment

    def _classes(
        self, classes: str | int | Iterable[str | int], everything: tuple[int, ...]
    ) -> tuple[tuple[int, ...], list[str]]:
        """Expanded ids that this model was trained on, and a note about the others."""
        prompts = [classes] if isinstance(classes, str | int) else list(classes)
        if [str(prompt).lower() for prompt in prompts] == ["everything"]:
            return everything, []
        ids, unknown = self.vocabulary.split(self.vocabulary.resolve(prompts))
        notes = [f"not trained on and left out: {', '.join(unknown)}"] if unknown else []
        return ids, notes


def load(
    model: str | Path = "mini",
    *,
    device: str = "auto",
    runtime: str = "auto",
    precision: str = "auto",
) -> Model:
    """Load a model.

    Args:
        model: "mini" (in the package), "official" or "official-ctmr" (once
            downloaded), or a checkpoint file.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        runtime: "auto", "torch", "openvino".
        precision: "auto", "fp32", "bf16", "fp16".

    Raises:
        WeightsError: the weights are missing, damaged or refused.
        UsageError: a device or runtime that is not there.
    """
    name = str(model) if str(model) in PUBLISHED else None
    weights = resolve(model)
    network, meta = load_checkpoint(weights, name)
    chosen = choose_runtime(
        network, meta.window, device=device, runtime=runtime, precision=precision, weights=weights
    )
    log.info("%s on %s, %s, %s", meta.name, chosen.device, chosen.name, chosen.precision)
    return Model(network, meta, chosen)


def _as_volume(
    volume: Volume | np.ndarray | Path | str,
    affine: np.ndarray | None,
    modality: anatomy.Modality = "ct",
) -> Volume:
    if isinstance(volume, np.ndarray):
        if affine is None:
            msg = "an array needs its affine [4, 4] (voxel -> RAS+ mm)"
            raise UsageError(msg)
        scan = Volume(volume, np.asarray(affine, np.float64))
    else:
        scan = volume if isinstance(volume, Volume) else read(volume)
    return check_ct(scan) if modality == "ct" else check_image(scan)


def _versions() -> dict[str, str]:
    import torch

    from vista3d import __version__

    return {"vista3d": __version__, "torch": torch.__version__, "numpy": np.__version__}
