"""What a radiologist asks of a segmentation: how large, how dense, where, and is all of it there.

A structure that the border of the scan cuts is measured like any other and marked `truncated`, with
the faces that cut it: its volume is then a lower bound. (TotalSegmentator writes 0 for such a
structure, which cannot be told from an absent one.)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vista3d.anatomy import described
from vista3d.errors import UsageError
from vista3d.results.json_file import write_json
from vista3d.results.profile import Profile, profile_labels
from vista3d.volume.writers import atomic_path

if TYPE_CHECKING:
    from vista3d.anatomy import Structure
    from vista3d.volume import Geometry, Volume

Triple = tuple[float, float, float]
UNITS = {
    "volume_mm3": "mm3",
    "volume_ml": "mL",
    "mean_hu": "HU",
    "std_hu": "HU, population standard deviation",
    "centroid_mm": "mm, RAS+ world of the scan",
    "centroid_voxel": "voxel index (i, j, k) of the scan, from 0",
    "box_first": "first voxel index (i, j, k), inclusive",
    "box_last": "last voxel index (i, j, k), inclusive",
    "truncated": "cut by the border of the scan: volume is a lower bound",
}
CUT_MM2 = 25.0
"""Smallest area in an outermost slice that counts as a cut: stray voxels at the edge are none."""
_FACES = {
    "R": "right", "L": "left", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior",
}  # fmt: skip
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}


def shown_ml(millilitres: float) -> str:
    """A volume for people, to a tenth; what was found is never shown as nothing."""
    return "<0.1" if 0 < millilitres < 0.05 else f"{millilitres:.1f}"


@dataclass(frozen=True)
class StructureStatistics:
    """Measurements of one structure on the original grid.

    Attributes:
        id, name, group: the class, from the anatomy table.
        voxels: how many; 0 for a class that was asked for and not found.
        volume_mm3, volume_ml: voxels times the voxel volume |det(affine)|.
        mean_hu, std_hu: of the scan under the mask; None when not found.
        centroid_voxel: mean voxel index (i, j, k); None when not found.
        centroid_mm: the same point in RAS+ world millimetres.
        box_first, box_last: bounding box in voxel indices, both inclusive.
        truncated: at least `CUT_MM2` of it lie in an outermost slice of the scan.
        borders: the faces of the scan that cut it so, such as ("inferior", "left").
    """

    id: int
    name: str
    group: str
    voxels: int
    volume_mm3: float
    volume_ml: float
    mean_hu: float | None
    std_hu: float | None
    centroid_voxel: Triple | None
    centroid_mm: Triple | None
    box_first: tuple[int, int, int] | None
    box_last: tuple[int, int, int] | None
    truncated: bool
    borders: tuple[str, ...]


def statistics(
    labels: NDArray[np.integer],
    volume: Volume,
    ids: Iterable[int | Structure],
    *,
    profile: Profile | None = None,
) -> list[StructureStatistics]:
    """Measure every class asked for, in one pass over the scan.

    Args:
        labels: global class ids (i, j, k) on the grid of `volume`.
        volume: the scan in HU.
        ids: classes to measure, in this order; absent ones get a row with 0 voxels.
        profile: `profile_labels(labels, volume.array)` where it is known already.
    """
    spread = profile or profile_labels(labels, volume.array)
    return [_measure(s, spread, volume.geometry) for s in described(ids).values()]


def write_statistics(path: Path, rows: Sequence[StructureStatistics], *, case: str) -> Path:
    """Write the rows as `.json` or `.csv`, by the suffix, atomically.

    The CSV has one line per structure and starts with the case, so that the files of a cohort
    can be concatenated.

    Raises:
        UsageError: another suffix.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        structures = [asdict(row) for row in rows]
        return write_json(path, {"case": case, "units": UNITS, "structures": structures})
    if path.suffix.lower() != ".csv":
        msg = f"statistics are written as .json or .csv, not '{path.suffix}' ({path.name})"
        raise UsageError(msg)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", *_columns()])
    writer.writerows([case, *_cells(row)] for row in rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


def _measure(structure: Structure, spread: Profile, geometry: Geometry) -> StructureStatistics:
    number = structure.id
    voxels = spread.count(number)
    volume = voxels * float(abs(np.linalg.det(geometry.affine[:3, :3])))
    mean = deviation = None
    centre = world = first = last = None
    borders: tuple[str, ...] = ()
    if voxels:
        mean, deviation = _intensity(number, voxels, spread)
        centre = _centroid(number, voxels, spread)
        world = _triple(geometry.affine[:3, :3] @ centre + geometry.affine[:3, 3])
        box = spread.box(number)
        first = (box[0][0], box[1][0], box[2][0])
        last = (box[0][1], box[1][1], box[2][1])
        borders = _borders(number, spread, geometry)
    return StructureStatistics(
        id=number,
        name=structure.name,
        group=structure.group,
        voxels=voxels,
        volume_mm3=round(volume, 3),
        volume_ml=round(volume / 1000, 6),
        mean_hu=mean,
        std_hu=deviation,
        centroid_voxel=centre,
        centroid_mm=world,
        box_first=first,
        box_last=last,
        truncated=bool(borders),
        borders=borders,
    )


def _intensity(number: int, voxels: int, spread: Profile) -> tuple[float | None, float | None]:
    if spread.intensity_sum is None or spread.intensity_square is None:
        return None, None
    mean = float(spread.intensity_sum[number]) / voxels
    variance = float(spread.intensity_square[number]) / voxels - mean * mean
    return round(mean, 3), round(max(variance, 0.0) ** 0.5, 3)


def _centroid(number: int, voxels: int, spread: Profile) -> Triple:
    return _triple(
        [float(counts[number] @ np.arange(counts.shape[1])) / voxels for counts in spread.along]
    )


def _borders(number: int, spread: Profile, geometry: Geometry) -> tuple[str, ...]:
    """Anatomical names of the faces of the scan that cut a structure."""
    faces = []
    for axis, towards in enumerate(geometry.orientation):
        one, other = np.delete(geometry.affine[:3, :3], axis, axis=1).T
        area = float(np.linalg.norm(np.cross(one, other)))
        counts = spread.along[axis][number]
        for index, face in ((0, _OPPOSITE[towards]), (-1, towards)):
            if counts[index] * area >= CUT_MM2:
                faces.append(_FACES[face])
    return tuple(faces)


def _triple(values: Iterable[float]) -> Triple:
    x, y, z = (round(float(value), 4) for value in values)
    return (x, y, z)


def _columns() -> list[str]:
    names: list[str] = []
    for key in StructureStatistics.__dataclass_fields__:
        letters = {"centroid_mm": "xyz"}.get(key, "ijk")
        names += [f"{key}_{c}" for c in letters] if key in _TRIPLES else [key]
    return names


def _cells(row: StructureStatistics) -> list[Any]:
    cells: list[Any] = []
    for key, value in asdict(row).items():
        if key in _TRIPLES:
            cells += value or ("", "", "")
        elif key == "borders":
            cells.append(" ".join(value))
        elif key == "truncated":
            cells.append(str(value).lower())
        else:
            cells.append("" if value is None else value)
    return cells


_TRIPLES = ("centroid_voxel", "centroid_mm", "box_first", "box_last")
