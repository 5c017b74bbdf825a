"""Three planes cut from a scan, turned to the radiological convention and cropped to the body."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vista3d.volume import Volume

BODY_HU = -300.0
"""Between lung (-850) or air and fat (-100)."""
THIN_MM = 25.0
"""Parts thinner than this on average are table, mattress or cable; an arm has 60 mm and more."""
AIR_MM = 8.0
"""Air kept around the patient."""
_PAIRS = ("RL", "AP", "SI")
_OTHER = dict(zip("RLAPSI", "LRPAIS", strict=True))
# (fixed world axis, world axis down the rows, world axis along the columns, top, left):
# the patient's right is on the left of the picture, the sagittal plane looks from the left side.
_LAYOUTS = ((2, 1, 0, "A", "R"), (1, 2, 0, "S", "R"), (0, 2, 1, "S", "A"))
# World axis -> (plane, picture axis) in which the body is looked for. The extent from top to
# bottom is never cropped; the sagittal plane is left out, where the table is a thick bar.
_LOOK = {0: ((0, 1), (1, 1)), 1: ((0, 0),), 2: ()}


NEAR_MM = 6.0
"""A click this far from a plane is shown in it."""


@dataclass(frozen=True)
class Mark:
    """A click in a picture.

    Attributes:
        row, column: of the slice, fractions allowed.
        positive: whether it says "this".
    """

    row: float
    column: float
    positive: bool


@dataclass(frozen=True)
class Plane:
    """A slice ready to be drawn: row 0 is the top, column 0 the left side of the picture.

    Attributes:
        image: HU [rows, columns].
        labels: class ids [rows, columns].
        spacing: millimetres per row and per column.
        letters: (left, right, top, bottom) side of the patient, such as ("R", "L", "A", "P").
        marks: clicks in the slice or near it.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.integer]
    spacing: tuple[float, float]
    letters: tuple[str, str, str, str]
    marks: tuple[Mark, ...] = ()

    @property
    def millimetres(self) -> tuple[float, float]:
        """Width and height of the slice in mm."""
        rows, columns = self.image.shape
        return columns * self.spacing[1], rows * self.spacing[0]


def cut_planes(
    labels: NDArray[np.integer],
    volume: Volume,
    at: tuple[int, int, int],
    drawn: Iterable[int],
    clicks: Iterable[tuple[Sequence[float], bool]] = (),
) -> tuple[Plane, Plane, Plane]:
    """The axial, coronal and sagittal plane through the voxel `at`.

    Oblique scans are cut along their own axes, without resampling. Planes that share a world axis
    are cropped alike along it, so that they line up at a common scale.

    Args:
        labels: class ids (i, j, k) on the grid of `volume`.
        volume: the scan in HU.
        at: voxel index (i, j, k) of the scan.
        drawn: ids to keep; the others become background.
        clicks: voxels of the scan, and whether they are positive.
    """
    keep = np.zeros(int(labels.max(initial=0)) + 1, bool)
    keep[list(drawn)] = True
    axes, listed = _axes(volume), tuple(clicks)
    whole = [_cut(labels, volume, at, axes, layout, keep, listed) for layout in _LAYOUTS]
    kept = [_extent(whole, world) for world in range(3)]
    axial, coronal, sagittal = (
        _crop(plane, kept[rows], kept[columns])
        for plane, (_, rows, columns, _, _) in zip(whole, _LAYOUTS, strict=True)
    )
    return axial, coronal, sagittal


def axial_square(
    labels: NDArray[np.integer], volume: Volume, at: tuple[int, int, int], width_mm: float
) -> Plane:
    """A square of the axial plane around the voxel `at`; no letters, as it may show no body.

    Beyond the scan it goes on as at its border, without labels.
    """
    keep = np.ones(int(labels.max(initial=0)) + 1, bool)
    whole = _cut(labels, volume, at, _axes(volume), _LAYOUTS[0], keep, [(at, True)])
    (centre,) = whole.marks
    half = [round(width_mm / 2 / step) for step in whole.spacing]
    # The middle of the square is at its place after padding by half of it.
    part = tuple(
        slice(first, first + 2 * n + 1)
        for first, n in zip((int(centre.row), int(centre.column)), half, strict=True)
    )
    around = [(n, n) for n in half]
    image, label = np.pad(whole.image, around, mode="edge"), np.pad(whole.labels, around)
    return Plane(image[part], label[part], whole.spacing, ("", "", "", ""))


def _axes(volume: Volume) -> list[int]:
    """The voxel axis of each world axis."""
    orientation = volume.geometry.orientation
    return [next(a for a in range(3) if orientation[a] in pair) for pair in _PAIRS]


def _cut(
    labels: NDArray[np.integer],
    volume: Volume,
    at: tuple[int, int, int],
    axes: list[int],
    layout: tuple[int, int, int, str, str],
    keep: NDArray[np.bool_],
    clicks: Iterable[tuple[Sequence[float], bool]],
) -> Plane:
    fixed, rows, columns, top, left = layout
    index: list[int | slice] = [slice(None)] * 3
    index[axes[fixed]] = at[axes[fixed]]
    image = np.asarray(volume.array[tuple(index)], np.float32)
    label = labels[tuple(index)]
    label = np.where(keep[label], label, 0)
    if axes[rows] > axes[columns]:
        image, label = image.T, label.T
    # An orientation letter names the side towards which the voxel index grows.
    towards = volume.geometry.orientation
    turned = [towards[axes[world]] == side for world, side in ((rows, top), (columns, left))]
    flip = tuple(slice(None, None, -1 if turn else 1) for turn in turned)
    spacing, shape = volume.geometry.spacing, volume.geometry.shape
    size = (float(spacing[axes[rows]]), float(spacing[axes[columns]]))
    marks = []
    for voxel, positive in clicks:
        if abs(voxel[axes[fixed]] - at[axes[fixed]]) * spacing[axes[fixed]] > NEAR_MM:
            continue
        row, column = (
            shape[axes[world]] - 1 - voxel[axes[world]] if turn else voxel[axes[world]]
            for world, turn in zip((rows, columns), turned, strict=True)
        )
        marks.append(Mark(row, column, positive))
    letters = (left, _OTHER[left], top, _OTHER[top])
    return Plane(image[flip], label[flip], size, letters, tuple(marks))


def _extent(planes: list[Plane], world: int) -> slice:
    """What to keep along a world axis: body and labels of the planes that hold this axis."""
    holders = [
        (plane, (rows, columns).index(world))
        for plane, (_, rows, columns, _, _) in zip(planes, _LAYOUTS, strict=True)
        if world in (rows, columns)
    ]
    plane, axis = holders[0]
    size, step = plane.image.shape[axis], plane.spacing[axis]
    found = np.zeros(size, bool)
    for number, picture_axis in _LOOK[world]:
        found |= _body(planes[number]).any(axis=1 - picture_axis)
    if not found.any():
        return slice(0, size)
    for plane, axis in holders:
        found |= (plane.labels > 0).any(axis=1 - axis)
    where = np.flatnonzero(found)
    pad = round(AIR_MM / step)
    return slice(max(0, int(where[0]) - pad), min(size, int(where[-1]) + 1 + pad))


def _body(plane: Plane) -> NDArray[np.bool_]:
    """The patient in a plane, arms included, without the table and cables."""
    import cc3d

    inside = np.ascontiguousarray(plane.image > BODY_HU)
    parts = cc3d.connected_components(inside, connectivity=4)
    found = cc3d.statistics(parts)
    counts = found["voxel_counts"].astype(np.int64)
    counts[0] = 0
    if not counts.any():
        return np.zeros(inside.shape, bool)
    # Mean thickness: area over the longest side of the bounding box. cc3d gives no box for a
    # background without a pixel.
    longest = [
        max((edge.stop - edge.start) * step for edge, step in zip(box, plane.spacing, strict=True))
        if box
        else np.inf
        for box in found["bounding_boxes"]
    ]
    thickness = counts * plane.spacing[0] * plane.spacing[1] / np.array(longest)
    solid = thickness >= THIN_MM
    solid[counts.argmax()] = True
    return np.asarray(solid[parts])


def _crop(plane: Plane, rows: slice, columns: slice) -> Plane:
    part = (rows, columns)
    marks = tuple(
        replace(mark, row=mark.row - rows.start, column=mark.column - columns.start)
        for mark in plane.marks
    )
    return replace(plane, image=plane.image[part], labels=plane.labels[part], marks=marks)
