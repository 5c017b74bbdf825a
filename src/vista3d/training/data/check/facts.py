"""One pass over a case's files: everything that the rules need, small enough for 10 000 cases."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vista3d import volume as vol
from vista3d.errors import Vista3DError
from vista3d.training.data.layouts import Entry
from vista3d.volume.geometry import Geometry, axes_of
from vista3d.volume.labels import read_drawn

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
        label = None if entry.label is None else read_drawn(entry.label)
        return _measure(image, label)
    except Vista3DError as error:
        return Facts(error=str(error))


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
    dtype = np.int16 if array.dtype.kind in "iu" else np.float32
    digest = hashlib.sha256(str(array.shape).encode())
    for k in range(array.shape[2]):
        digest.update(array[:, :, k].astype(dtype).tobytes())
    return digest.hexdigest()


def _ras(array: np.ndarray, grid: Geometry) -> np.ndarray:
    """Axes swapped and flipped to right, anterior, superior."""
    axes = axes_of(grid.affine)
    order = [next(a for a, (world, _) in enumerate(axes) if world == w) for w in range(3)]
    flips = tuple(w for w in range(3) if not axes[order[w]][1])
    return np.flip(array.transpose(order), flips)


def _thumbnail(array: np.ndarray, grid: Geometry) -> np.ndarray | None:
    """Block means over the whole extent, so that another voxel size gives nearly the same."""
    along_i, along_j, along_k = map(_shares, array.shape)
    small = np.zeros((THUMBNAIL,) * 3, np.float32)
    for k in range(array.shape[2]):
        plane = np.clip(array[:, :, k].astype(np.float32), -1000, 500)
        small += (along_i @ plane @ along_j.T)[:, :, None] * along_k[:, k]
    small = _ras(small - small.mean(), grid)
    norm = float(np.linalg.norm(small))
    return None if norm < 1e-3 else np.asarray(small / norm, np.float32)


def _shares(size: int) -> np.ndarray:
    """[THUMBNAIL, size] weights of voxels in the means of equal parts of an axis.

    A voxel across two parts counts in both.
    """
    edges = np.linspace(0, size, THUMBNAIL + 1)[:, None]
    voxels = np.arange(size)
    overlap = np.minimum(edges[1:], voxels + 1) - np.maximum(edges[:-1], voxels)
    return np.asarray(np.clip(overlap, 0, None) * (THUMBNAIL / size), np.float32)


def _midline(image: vol.Volume) -> float | None:
    """RAS x of the middle of what is denser than fat; every fourth voxel is enough."""
    step = 4
    i, j, k = np.nonzero(np.asarray(image.array)[::step, ::step, ::step] > -150)
    if len(i) == 0:
        return None
    centre = step * np.array([[i.mean(), j.mean(), k.mean()]])
    return float(image.geometry.to_world(centre)[0, 0])


class _Sums:
    """Voxels of each label, and sums of quantities over them, plane by plane.

    A volume holds hundreds of millions of voxels: indices of all of them would take more memory
    than the scan.
    """

    def __init__(self, quantities: int) -> None:
        self.rows: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(1 + quantities))

    def add(self, labels: np.ndarray, *quantities: np.ndarray) -> None:
        """Labels of a plane [i, j], 0 left out, and quantities that broadcast to its shape."""
        inside = labels > 0
        values, index = np.unique(labels[inside], return_inverse=True)
        columns = [np.bincount(index, minlength=len(values))]
        for quantity in quantities:
            there = np.broadcast_to(quantity, labels.shape)[inside]
            columns.append(np.bincount(index, there, len(values)))
        for value, row in zip(values.tolist(), np.stack(columns, axis=1), strict=True):
            self.rows[value] += row

    @property
    def voxels(self) -> dict[int, int]:
        """Label -> its number of voxels, ascending."""
        return {value: int(self.rows[value][0]) for value in sorted(self.rows)}


def _labels(label: vol.Volume) -> dict[str, object]:
    """Values, sizes and centroids of a label map."""
    fractional, sums = 0, _Sums(3)
    rows, columns = (np.arange(size) for size in label.array.shape[:2])
    for k in range(label.array.shape[2]):
        plane, odd = _whole(label.array[:, :, k])
        fractional += odd
        sums.add(plane, rows[:, None], columns, np.array(k))
    voxels = sums.voxels
    means = np.array([sums.rows[value][1:] / count for value, count in voxels.items()])
    world = label.geometry.to_world(means) if voxels else np.empty((0, 3))
    return {
        "fractional": fractional,
        "voxels": voxels,
        "centroids": {
            value: (float(x), float(y), float(z))
            for value, (x, y, z) in zip(voxels, world, strict=True)
        },
    }


def _whole(plane: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels as integers >= 0, and how many were none.

    Whole numbers are meant where a map is stored as float, or scaled by its header.
    """
    odd = 0
    if plane.dtype.kind == "f":
        rounded = np.nan_to_num(plane, posinf=0, neginf=0).round()
        odd = int((rounded != plane).sum())
        plane = rounded
    negative = plane < 0
    return np.where(negative, 0, plane).astype(np.int64), odd + int(negative.sum())


def _overlay(image: vol.Volume, labels: np.ndarray) -> dict[str, object]:
    """What the scan shows under the labels."""
    hu = np.asarray(image.array)
    across, _, along = (
        next(a for a, (world, _) in enumerate(axes_of(image.affine)) if world == w)
        for w in range(3)
    )
    empty, mirrored = _empty(hu, along), np.flip(labels, across)
    blank, here, there = _Sums(0), _Sums(2), _Sums(2)
    for k in range(hu.shape[2]):
        plane, _ = _whole(labels[:, :, k])
        blank.add(np.where((hu[:, :, k] < BLANK_HU) | empty[:, :, k], plane, 0))
        soft = np.clip(hu[:, :, k].astype(np.float64), *_SOFT)
        here.add(plane, soft, soft**2)
        there.add(_whole(mirrored[:, :, k])[0], soft, soft**2)
    as_is, turned = _spread(here), _spread(there)
    fit = None if as_is is None or turned is None else (as_is, turned)
    return {"blank": blank.voxels, "fit": fit}


def _empty(hu: np.ndarray, along: int) -> np.ndarray:
    """Bool, of the shape of the scan: slices without image; `along` goes from feet to head."""
    filled = (hu >= BLANK_HU).sum(axis=tuple(a for a in range(3) if a != along))
    empty = filled < EMPTY_SLICE * filled.max()
    return np.broadcast_to(empty.reshape([-1 if a == along else 1 for a in range(3)]), hu.shape)


def _spread(sums: _Sums) -> float | None:
    """Variance of HU within labels, over all labelled voxels; None for less than 1000.

    Args:
        sums: of HU and of their squares.
    """
    table = np.array(list(sums.rows.values())).reshape(-1, 3)
    count, total, squares = table.T
    if count.sum() < 1000:
        return None
    return float((squares - total**2 / count).sum() / count.sum())
