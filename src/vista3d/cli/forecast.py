"""How long a case will take here: one real window and one real tile are timed, the rest counted."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

TORSO_SHAPE = (512, 512, 400)
TORSO_SPACING = (0.8, 0.8, 1.25)
"""A chest, abdomen and pelvis of 41 x 41 x 50 cm, in voxels and mm."""
TORSO_BODY_MM = (380.0, 270.0, 500.0)
"""The box of the body in it, which is what remains after the crop."""
TILE, TILE_CLASSES = 64, 6
"""Labels are made in tiles of 64 voxels. Those with body hold 3 to 4 structures on average (89 and
58 labels in two torsos of the corpus); positive logits reach a little beyond them."""
READ_AND_WRITE_SECONDS = 6.0
"""Reading .nii.gz, resampling, measuring and writing at this size, on one core of a server CPU."""


def forecast(path: Path, *, device: str = "auto") -> dict[str, Any]:
    """Load a checkpoint, run it on one window of noise, and predict a typical torso.

    Returns:
        Plain values: device, runtime and precision chosen, seconds per window, number of windows,
        seconds for a case, and how long the model took to load.
    """
    from vista3d.inference.presets import preset
    from vista3d.inference.runtimes import choose_runtime
    from vista3d.inference.windows import WindowGrid
    from vista3d.network.checkpoint import load_checkpoint

    start = time.perf_counter()
    network, meta = load_checkpoint(path)
    with _nothing_kept():
        runtime = choose_runtime(network, meta.window, device=device)
    window = np.random.default_rng(0).random(meta.window, np.float32)
    features = runtime.features(window)
    loading = time.perf_counter() - start
    # The first window also compiles; the second one is what a case pays for each.
    per_window = _seconds(lambda: runtime.features(window))
    chosen = preset("default")
    i, j, k = (round(mm / s) for mm, s in zip(TORSO_BODY_MM, meta.spacing, strict=True))
    windows = len(WindowGrid.over((i, j, k), meta.window, chosen.overlap, chosen.placement).starts)
    labelling = _tile_seconds(features, meta.spacing) * _tiles()
    total = windows * per_window + labelling + READ_AND_WRITE_SECONDS
    return {
        "case": f"torso of {' x '.join(map(str, TORSO_SHAPE))} voxels, everything",
        "device": runtime.device,
        "runtime": runtime.name,
        "precision": runtime.precision,
        "loading_s": round(loading, 1),
        "window": list(meta.window),
        "window_s": round(per_window, 3),
        "windows": windows,
        "labelling_s": round(labelling, 1),
        "case_s": round(total),
    }


@contextlib.contextmanager
def _nothing_kept() -> Iterator[None]:
    """Let a runtime that caches its converted network do so in a folder that goes away."""
    before = os.environ.get("VISTA3D_HOME")
    with tempfile.TemporaryDirectory(prefix="vista3d-") as folder:
        os.environ["VISTA3D_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["VISTA3D_HOME"]
            if before is not None:
                os.environ["VISTA3D_HOME"] = before


def _tile_seconds(features: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """One tile of the scan's grid, with as many classes as a torso has there on average."""
    from vista3d.inference.labelling import label_volume

    scale = [s / t for s, t in zip(TORSO_SPACING, spacing, strict=True)]
    needed = [int(np.ceil(TILE * s)) + 2 for s in scale]
    part = np.ascontiguousarray(features[:, : needed[0], : needed[1], : needed[2]])
    table = np.random.default_rng(1).standard_normal((TILE_CLASSES, len(part))).astype(np.float32)
    # Rows that are positive somewhere, as the classes of a real tile are.
    table *= np.sign(np.tensordot(table, part.mean(axis=(1, 2, 3)), 1))[:, None]
    ids = tuple(range(1, TILE_CLASSES + 1))
    to_model = np.diag([*scale, 1.0])
    return _seconds(lambda: label_volume(part, table, ids, to_model, (TILE, TILE, TILE)))


def _tiles() -> int:
    """Tiles of the torso that hold body; those in air cost next to nothing."""
    sides = [mm / s for mm, s in zip(TORSO_BODY_MM, TORSO_SPACING, strict=True)]
    return int(np.prod([np.ceil(side / TILE) for side in sides]))


def _seconds(work: Callable[[], object]) -> float:
    """The faster of two runs: other programs only ever add time."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
