"""Blending of the class head's feature volume over windows.

Logits are linear in the features G, so blending G and multiplying by the class table once is the
same as blending K logit volumes, and its memory does not depend on K. The accumulator is fp32: a
bf16 one costs about 1% of the labels (cpu_performance notes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vista3d.inference.presets import Preset
from vista3d.inference.windows import Triple, WindowGrid, importance
from vista3d.volume import normalise

AIR = -500.0
"""HU above which a voxel can belong to a body."""

Features = Callable[[np.ndarray], np.ndarray]
"""One window [H, W, D] in [0, 1] -> G [F, H, W, D] float32."""


@dataclass(frozen=True)
class Blend:
    """A feature volume [F, h, w, d] float32 on the model grid, and how it came about."""

    features: np.ndarray
    windows: int
    skipped: int


def plan_windows(hu: np.ndarray, window: Triple, preset: Preset) -> tuple[WindowGrid, list[Triple]]:
    """The grid over a volume and the starts of those windows that will be run."""
    i, j, k = hu.shape
    grid = WindowGrid.over((i, j, k), window, preset.overlap, preset.placement)
    if not preset.skip_air:
        return grid, list(grid.starts)
    kept = [start for start in grid.starts if _has_body(hu[grid.inside(start)[0]])]
    return grid, kept or list(grid.starts)


def _has_body(part: np.ndarray) -> bool:
    """More than 0.1% of tissue: a table edge alone does not make a window worth its seconds."""
    return float((part[::2, ::2, ::2] > AIR).mean()) > 1e-3


def blend_features(
    hu: np.ndarray,
    window: Triple,
    preset: Preset,
    intensity: tuple[float, float],
    run: Features,
    buffer: Callable[[tuple[int, ...]], np.ndarray],
    step: Callable[[int, int], None],
) -> Blend:
    """Run every window and average their features by weight.

    Args:
        hu: [h, w, d] on the model grid.
        window: voxels of a window.
        preset: placement, weights, padding.
        intensity: HU mapped to 0 and to 1.
        run: the network on one window.
        buffer: allocates zeros of a shape (memory, or a file on disk).
        step: told (done, total) before each window; may raise to stop.

    Returns:
        Features; 0 where no window was run, so that every logit is 0 and the label background.
    """
    grid, starts = plan_windows(hu, window, preset)
    weight = importance(window, preset.mode)
    total = np.zeros(hu.shape, np.float32)
    blended: np.ndarray | None = None
    for done, start in enumerate(starts):
        step(done, len(starts))
        inside, local = grid.inside(start)
        patch = _patch(hu[inside], local, window, preset.padding)
        features = run(normalise(patch, *intensity))
        if blended is None:
            blended = buffer((len(features), *hu.shape))
        part = weight[local]
        blended[(slice(None), *inside)] += features[(slice(None), *local)] * part
        total[inside] += part
    step(len(starts), len(starts))
    if blended is None:
        msg = "no window was planned"
        raise RuntimeError(msg)
    np.maximum(total, 1e-12, out=total)
    for channel in blended:
        channel /= total
    return Blend(blended, len(starts), len(grid.starts) - len(starts))


def _patch(hu: np.ndarray, local: tuple[slice, ...], window: Triple, padding: str) -> np.ndarray:
    """The window's voxels, padded where the volume is smaller."""
    pad = [(part.start, size - part.stop) for part, size in zip(local, window, strict=True)]
    if not any(any(sides) for sides in pad):
        return hu
    if padding == "replicate":
        return np.pad(hu, pad, mode="edge")
    return np.pad(hu, pad, constant_values=-1024)
