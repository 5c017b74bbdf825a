"""Grid, patch and intensities: what is adapted to the scans, and what stays as the model has it."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from vista3d import anatomy
from vista3d import volume as vol
from vista3d.network.metadata import CheckpointMeta
from vista3d.training.finetuning.scans import Scan
from vista3d.training.finetuning.targets import Target
from vista3d.volume.resample import nearest

log = logging.getLogger(__name__)

_SIDES = {"left", "right", "l", "r", "lt", "rt"}

CEILING = 0.9
"""Dice of the drawn masks, put on the model's grid and back: what a perfect network could reach."""

FINER = 0.8
"""Steps in which a finer grid is looked for."""

CPU_PATCH = 64
"""Largest patch without an accelerator: 96^3 has 3.4 times as many voxels, and the automatic Dice
of `mini` there is 0.55 instead of 0.54 (docs/training.md)."""


WHOLE = 0.95
"""Share of a mask in its largest piece, of a structure in one piece: annotators leave bits."""

ENOUGH = 3
"""Scans in which a structure must be in one piece: one or two metastases may be alone by chance."""

Pieces = Literal["auto", "one", "any"]
PIECES: tuple[Pieces, ...] = ("auto", "one", "any")


@dataclass(frozen=True)
class Plan:
    """What was decided from the scans.

    Attributes:
        spacing: of the model's grid, mm.
        patch: voxels per side, in training and in use.
        intensity: values of the scans that the network sees as 0 and 1.
        hounsfield: whether the scans are in HU; those are then the released model's window, which
            all training uses.
        mirror: whether patches are mirrored left to right.
        single: classes of which one piece is kept (`inference.pieces`).
    """

    spacing: float
    patch: int
    intensity: tuple[float, float]
    hounsfield: bool
    mirror: bool
    single: tuple[int, ...] = ()


def make_plan(
    scans: Sequence[Scan],
    targets: Sequence[Target],
    base: CheckpointMeta,
    *,
    spacing: float | None = None,
    patch: int | None = None,
    pieces: Pieces = "auto",
    accelerator: bool = False,
) -> Plan:
    """Decide.

    Args:
        scans: at least one.
        targets: what is learned.
        base: of the model that is started from.
        spacing, patch: fixed by the user.
        pieces: whether one piece of every structure is kept, or as many as there are; "auto": one,
            where the structure is in one piece in all scans, `ENOUGH` or more.
        accelerator: whether there is one.
    """
    grid = spacing or choose_spacing(scans, base)
    hounsfield = sum(scan.hounsfield for scan in scans) * 2 >= len(scans)
    lows, highs = zip(*(scan.range for scan in scans), strict=True)
    return Plan(
        spacing=grid,
        patch=patch or choose_patch(scans, base, grid, accelerator),
        intensity=(vol.A_MIN, vol.A_MAX) if hounsfield else (median(lows), median(highs)),
        hounsfield=hounsfield,
        mirror=_may_mirror(targets),
        single=tuple(t.class_id for t in targets if _is_single(t.class_id, scans, pieces)),
    )


def _may_mirror(targets: Sequence[Target]) -> bool:
    """Whether no class lies on one side without a partner that it would become."""
    sided = [target.name or target.label for target in targets if _is_sided(target)]
    if sided:
        log.info("patches are not mirrored: %s lies on one side", ", ".join(sided))
    else:
        log.info("patches are mirrored: no class lies on one side without a partner")
    return not sided


def _is_sided(target: Target) -> bool:
    """Of new classes by their names; of the table's, those with a partner become it."""
    return target.class_id in anatomy.one_sided() or bool(_SIDES & set(_words(target.name)))


def _words(name: str) -> list[str]:
    """As in "Parotid_L" and "tumour (left)"; a vertebra L1 is not on the left."""
    return re.findall(r"left|right|[a-z]+(?![a-z0-9])", name.lower())


def _is_single(class_id: int, scans: Sequence[Scan], pieces: Pieces) -> bool:
    if pieces != "auto":
        return pieces == "one"
    masks = [scan.masks[class_id].array for scan in scans if class_id in scan.masks]
    return len(masks) >= ENOUGH and all(
        np.count_nonzero(vol.largest(mask > 0)) >= WHOLE * np.count_nonzero(mask) for mask in masks
    )


def choose_spacing(scans: Sequence[Scan], base: CheckpointMeta) -> float:
    """The model's own spacing, where it does.

    Finer where the scans would not fill a window with their middle extent (a mouse, a specimen, a
    close crop), and finer until the masks of every class survive the grid; never finer than the
    scans are.
    """
    own = min(base.spacing)
    finest = median(scan.spacing for scan in scans)
    fills = median(scan.extent[1] for scan in scans) / min(base.window)
    spacing = min(own, max(finest, fills))
    while spacing > finest and ceiling(scans, spacing) < CEILING:
        spacing = max(finest, FINER * spacing)
    return spacing if spacing == own else float(f"{spacing:.2g}")


def ceiling(scans: Sequence[Scan], spacing: float) -> float:
    """Median Dice of the masks after a grid of `spacing` mm, of the class that it hurts most."""
    classes = {class_id for scan in scans for class_id in scan.masks}
    return min(
        median(_survival(scan.masks[i], spacing) for scan in scans if i in scan.masks)
        for i in classes
    )


def _survival(mask: vol.Volume, spacing: float) -> float:
    """Mean over three places of the grid, since it matters where its voxels happen to lie."""
    scale = spacing / np.array(mask.geometry.spacing)
    n, m, o = (int(size / step) + 3 for size, step in zip(mask.array.shape, scale, strict=True))
    scores = []
    for offset in (0.0, 1 / 3, 2 / 3):
        to_mask = np.diag([*scale, 1.0])
        to_mask[:3, 3] = -offset * scale
        grid = nearest(mask.array, to_mask, (n, m, o))
        i, j, k = mask.array.shape
        back = nearest(grid, np.linalg.inv(to_mask), (i, j, k))
        scores.append(2 * (back & mask.array).sum() / (back.sum() + mask.array.sum()))
    return float(np.mean(scores))


def choose_patch(
    scans: Sequence[Scan], base: CheckpointMeta, spacing: float, accelerator: bool
) -> int:
    """The model's window, or less where the scans are smaller or nothing but a CPU is there."""
    step = base.config.divisor
    largest = min(base.window) if accelerator else min(*base.window, CPU_PATCH)
    needed = math.ceil(median(scan.extent[2] for scan in scans) / spacing / step) * step
    return max(2 * step, min(largest // step * step, needed))
