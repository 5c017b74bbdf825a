"""One pass over a case's files: everything that the rules need, small enough for 10 000 cases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vista3d import volume as vol
from vista3d.errors import InputError, Vista3DError
from vista3d.training.data.layouts import Entry
from vista3d.volume.checks import plain
from vista3d.volume.geometry import Geometry, axes_of

THUMBNAIL = 16
"""Voxels per side of the picture by which scans are compared."""

BLANK_HU = -990
"""Below the air around a patient in calibrated CT, -1000 give or take its noise."""

EMPTY_SLICE = 0.05
"""An axial slice with less than this share of the fullest slice's voxels above BLANK_HU is blank:
OpenKBP keeps the few voxels under an organ's outline in slices that were not planned."""

_SOFT = (-200.0, 300.0)
"""HU between which organs differ; the rest of the range would drown that in air and bone."""


@dataclass(frozen=True)
class Facts:
    """What was measured of one case.

    Attributes:
        error: why the files cannot be used, or "".
        warnings: what reading them remarked.
        image: the scan's grid, None without a scan.
        label: the label map's grid, None without one.
        fractional: number of label voxels that hold no integer >= 0.
        voxels: local value -> voxels, without background.
        centroids: local value -> RAS mm.
        blank: local value -> voxels in blank slices or below BLANK_HU; grids alike only.
        fit: variance of HU within labels, as they are and mirrored left to right on their grid;
            None where grids differ or there is too little to compare.
        midline: RAS x of the body's middle, mm; None without a scan.
        digest: of the scan's voxels, "" without one.
        thumbnail: [THUMBNAIL]^3 float32 in RAS order, mean 0, norm 1; None without a scan or
            without contrast.
    """

    error: str = ""
    warnings: tuple[str, ...] = ()
    image: Geometry | None = None
    label: Geometry | None = None
    fractional: int = 0
    voxels: Mapping[int, int] | None = None
    centroids: Mapping[int, tuple[float, float, float]] | None = None
    blank: Mapping[int, int] | None = None
    fit: tuple[float, float] | None = None
    midline: float | None = None
    digest: str = ""
    thumbnail: np.ndarray | None = None


def measure(entry: Entry) -> Facts:
    """Read a case; never raises for files that are wrong."""
    try:
        image = None if entry.image is None else vol.check_ct(vol.read(entry.image))
        label = None if entry.label is None else _drawn(entry.label)
        return _measure(image, label)
    except Vista3DError as error:
        return Facts(error=str(error))


def _drawn(path: Path) -> vol.Volume:
    """A label map on any grid, with any numbers: what is wrong with them are findings.

    Raises:
        InputError: unreadable, RGB, or not 3D.
    """
    found = vol.read(path)
    try:
        return replace(found, array=plain(found.array))
    except InputError as error:
        msg = f"the labels '{path.name}': {error}"
        raise InputError(msg) from error


def _measure(image: vol.Volume | None, label: vol.Volume | None) -> Facts:
    facts: dict[str, object] = {}
    if image is not None:
        array = image.array
        facts |= {
            "image": image.geometry,
            "warnings": image.meta.warnings,
            "digest": _digest(array),
            "thumbnail": _thumbnail(array, image.geometry),
            "midline": _midline(image),
        }
    if label is not None:
        facts |= {"label": label.geometry, **_labels(label)}
        if image is not None and image.geometry.matches(label.geometry):
            facts |= _overlay(image, np.asarray(label.array))
    return Facts(**facts)  # type: ignore[arg-type]


def _digest(array: np.ndarray) -> str:
    """Of shape and values, not of the file: compression and header do not matter."""
    contiguous = np.ascontiguousarray(array, np.int16 if array.dtype.kind in "iu" else np.float32)
    return hashlib.sha256(str(array.shape).encode() + contiguous.tobytes()).hexdigest()


def _ras(array: np.ndarray, grid: Geometry) -> np.ndarray:
    """Axes swapped and flipped to right, anterior, superior."""
    axes = axes_of(grid.affine)
    order = [next(a for a, (world, _) in enumerate(axes) if world == w) for w in range(3)]
    flips = tuple(w for w in range(3) if not axes[order[w]][1])
    return np.flip(array.transpose(order), flips)


def _thumbnail(array: np.ndarray, grid: Geometry) -> np.ndarray | None:
    """Block means over the whole extent, so that another voxel size gives nearly the same."""
    small: np.ndarray = np.clip(_ras(array, grid).astype(np.float32), -1000, 500)
    for axis in range(3):
        small = _block_means(small, axis)
    small = small - small.mean()
    norm = float(np.linalg.norm(small))
    return None if norm < 1e-3 else np.asarray(small / norm, np.float32)


def _block_means(array: np.ndarray, axis: int) -> np.ndarray:
    """Means of THUMBNAIL equal parts of an axis; a voxel across two parts counts in both."""
    array = np.moveaxis(array, axis, 0)
    size = len(array)
    sums = np.concatenate([np.zeros_like(array[:1]), np.cumsum(array, axis=0)])
    edges = np.linspace(0, size, THUMBNAIL + 1)
    low = np.minimum(edges.astype(int), size - 1)
    part = (edges - low).astype(np.float32)[:, None, None]
    at_edges = sums[low] + part * (sums[low + 1] - sums[low])
    return np.moveaxis(np.diff(at_edges, axis=0) * (THUMBNAIL / size), 0, axis)


def _midline(image: vol.Volume) -> float | None:
    """RAS x of the middle of what is denser than fat; every fourth voxel is enough."""
    step = 4
    i, j, k = np.nonzero(np.asarray(image.array)[::step, ::step, ::step] > -150)
    if len(i) == 0:
        return None
    centre = step * np.array([[i.mean(), j.mean(), k.mean()]])
    return float(image.geometry.to_world(centre)[0, 0])


def _labels(label: vol.Volume) -> dict[str, object]:
    """Values, sizes and centroids of a label map."""
    array = np.asarray(label.array)
    fractional = 0
    if array.dtype.kind == "f":
        # Stored as float, or scaled by the header: whole numbers are meant.
        rounded = np.nan_to_num(array).round()
        fractional = int((rounded != array).sum())
        array = rounded
    negative = array < 0
    fractional += int(negative.sum())
    array = np.where(negative, 0, array).astype(np.int32)
    i, j, k = np.nonzero(array)
    values, index = np.unique(array[i, j, k], return_inverse=True)
    counts = np.bincount(index, minlength=len(values))
    means = [np.bincount(index, axis, len(values)) / counts for axis in (i, j, k)]
    world = label.geometry.to_world(np.stack(means, axis=1)) if len(values) else np.empty((0, 3))
    return {
        "fractional": fractional,
        "voxels": {int(v): int(n) for v, n in zip(values, counts, strict=True)},
        "centroids": {
            int(v): (float(x), float(y), float(z))
            for v, (x, y, z) in zip(values, world, strict=True)
        },
    }


def _overlay(image: vol.Volume, labels: np.ndarray) -> dict[str, object]:
    """What the scan shows under the labels."""
    hu, labels = np.asarray(image.array), labels.astype(np.int32)
    across, _, along = (
        next(a for a, (world, _) in enumerate(axes_of(image.affine)) if world == w)
        for w in range(3)
    )
    values, counts = np.unique(labels[(labels > 0) & _blank(hu, along)], return_counts=True)
    blank = {int(v): int(n) for v, n in zip(values, counts, strict=True)}
    soft = np.clip(hu.astype(np.float32), *_SOFT)
    here, there = _spread(soft, labels), _spread(soft, np.flip(labels, across))
    return {"blank": blank, "fit": None if here is None or there is None else (here, there)}


def _blank(hu: np.ndarray, along: int) -> np.ndarray:
    """Where there is no image; `along` is the axis from feet to head."""
    blank = np.asarray(hu < BLANK_HU)
    filled = (~blank).sum(axis=tuple(a for a in range(3) if a != along))
    empty = filled < EMPTY_SLICE * filled.max()
    shape = [-1 if a == along else 1 for a in range(3)]
    return np.asarray(blank | empty.reshape(shape))


def _spread(hu: np.ndarray, labels: np.ndarray) -> float | None:
    """Variance of HU within labels, over all labelled voxels; None for less than 1000."""
    inside = labels > 0
    _, index = np.unique(labels[inside], return_inverse=True)
    if len(index) < 1000:
        return None
    values = hu[inside].astype(np.float64)
    counts = np.bincount(index)
    means = np.bincount(index, values) / counts
    return float(((values - means[index]) ** 2).mean())
