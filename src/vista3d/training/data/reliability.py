"""Which labels of a teacher to believe (paper section 3.3: "unreliable pseudo-labels are removed").

The authors' filter is not published; they say that largest connected components were compared and
scans with large discrepancies dropped (VISTA#60; 701 of 2702 scans). Here a class is doubted for a
stated reason, and a scan of which too many classes are doubted is left out as a whole:

    pieces      its largest component holds too little of it
    volume      outside the range of adults, borders of the scan permitting
    agreement   a second teacher draws it elsewhere, or with a largest component of another size
    missing     a second teacher draws it, the first does not
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vista3d import anatomy
from vista3d.volume import components

LEAST_SHARE = 0.8
"""Of a class in its largest component. In the corpus's TotalSegmentator labels every class in one
piece keeps 0.86, but for one pancreas in four parts (0.52)."""

LEAST_DICE = 0.7
"""Between teachers, for at least SMALL millilitres: TotalSegmentator reports 0.8 to 0.95 against
radiologists for organs; two readers of one are no closer than that."""

MOST_RATIO = 1.5
"""Between the largest components of two teachers, either way."""

SMALL = 5.0
"""mL below which Dice is a matter of voxels at the border."""

DOUBTED_SHARE = 0.2
"""Of a scan's classes from which on the scan is left out; the official lists leave out 26% of their
scans."""

_IN_PIECES = (
    "ribs", "costal cartilages", "small bowel", "colon", "duodenum", "pulmonary vein",
    "portal vein and splenic vein", "left iliac artery", "right iliac artery", "left iliac vena",
    "right iliac vena", "left kidney cyst", "right kidney cyst", "airway",
)  # fmt: skip
"""Truly or by slice thickness in several parts: of the corpus's ribs only half are in one."""

_MILLILITRES = {
    "liver": (500, 4000),
    "spleen": (30, 1500),
    "left kidney": (40, 500),
    "right kidney": (40, 500),
    "pancreas": (15, 250),
    "gallbladder": (1, 250),
    "stomach": (30, 2500),
    "bladder": (5, 1500),
    "heart": (250, 2000),
    "brain": (800, 2000),
    "aorta": (40, 800),
    "left lung upper lobe": (200, 3500),
    "left lung lower lobe": (100, 3500),
    "right lung upper lobe": (100, 3500),
    "right lung middle lobe": (50, 2000),
    "right lung lower lobe": (100, 3500),
}
"""Adults. Textbook ranges of healthy organs (liver 1000 to 2000 mL, spleen 80 to 300, kidney 110 to
220), opened by a factor of two or more for disease: what is outside is no organ."""


@dataclass(frozen=True)
class ClassQuality:
    """One class of a teacher's label map.

    Attributes:
        class_id: global id.
        millilitres: its volume.
        share: of it in its largest component, 0 for an empty class.
        truncated: touches the border of the scan.
        dice: with the second teacher; None without one.
        doubts: why it is not believed; empty: it is.
    """

    class_id: int
    millilitres: float
    share: float
    truncated: bool
    dice: float | None
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Reliability:
    """The verdict on a scan."""

    classes: tuple[ClassQuality, ...]

    @property
    def doubted(self) -> tuple[ClassQuality, ...]:
        """Classes that are not believed."""
        return tuple(each for each in self.classes if each.doubts)

    @property
    def trusted(self) -> frozenset[int]:
        """Global ids that are believed, found or stated to be absent."""
        return frozenset(each.class_id for each in self.classes if not each.doubts)

    @property
    def judged(self) -> int:
        """Classes that at least one teacher found: absence everywhere proves little."""
        return sum(each.millilitres > 0 or bool(each.doubts) for each in self.classes)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the scan is not reliable; empty: it is."""
        if self.judged == 0:
            return ("the teacher found nothing",)
        share = len(self.doubted) / self.judged
        if share <= DOUBTED_SHARE:
            return ()
        names = ", ".join(anatomy.by_id(each.class_id).name for each in self.doubted[:5])
        return (
            f"{len(self.doubted)} of {self.judged} classes doubted ({share:.0%}, at most "
            f"{DOUBTED_SHARE:.0%}): {names}",
        )

    def as_json(self) -> dict[str, Any]:
        """For the file beside the label map."""
        return {
            "reliable": not self.reasons,
            "reasons": list(self.reasons),
            "trusted": sorted(self.trusted),
            "doubts": {
                anatomy.by_id(each.class_id).name: list(each.doubts) for each in self.doubted
            },
        }


def assess(
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    classes: frozenset[int],
    second: tuple[np.ndarray, frozenset[int]] | None = None,
) -> Reliability:
    """Judge a teacher's label map.

    Args:
        labels: [i, j, k] global ids, on the scan's grid.
        spacing: of the voxels, mm.
        classes: global ids that the teacher knows.
        second: another teacher's label map on the same grid and the classes that it knows.
    """
    measured = _components(labels, spacing)
    other = {} if second is None else _components(second[0], spacing)
    empty = _Component(0.0, 0.0, False)
    found = []
    for class_id in sorted(classes):
        mine = measured.get(class_id, empty)
        doubts = list(_alone(class_id, mine))
        dice = None
        if second is not None and class_id in second[1]:
            theirs = other.get(class_id, empty)
            dice = _dice(labels == class_id, second[0] == class_id)
            doubts += _together(mine, theirs, dice)
        found.append(
            ClassQuality(
                class_id, mine.millilitres, mine.share, mine.truncated, dice, tuple(doubts)
            )
        )
    return Reliability(tuple(found))


@dataclass(frozen=True)
class _Component:
    millilitres: float
    largest: float
    truncated: bool

    @property
    def share(self) -> float:
        return self.largest / self.millilitres if self.millilitres else 0.0


def _components(
    labels: np.ndarray, spacing: tuple[float, float, float]
) -> Mapping[int, _Component]:
    """Volume, largest component (mL) and truncation of every class."""
    from scipy.ndimage import find_objects

    volume = float(np.prod(spacing)) / 1000
    found = {}
    for class_id, box in enumerate(find_objects(labels.astype(np.int32)), 1):
        if box is None:
            continue
        mask = np.asfortranarray(labels[box] == class_id)
        sizes = np.bincount(components(mask).ravel())[1:]
        truncated = any(
            part.start == 0 or part.stop == size
            for part, size in zip(box, labels.shape, strict=True)
        )
        found[class_id] = _Component(
            float(sizes.sum()) * volume, float(sizes.max()) * volume, truncated
        )
    return found


def _alone(class_id: int, mine: _Component) -> list[str]:
    """Doubts that need no second teacher; a class that was not found raises none."""
    if mine.millilitres == 0:
        return []
    doubts = []
    scattered = class_id in anatomy.resolve(_IN_PIECES)
    if not scattered and not mine.truncated and mine.share < LEAST_SHARE:
        doubts.append(f"pieces: largest component {mine.share:.2f} of it, below {LEAST_SHARE}")
    low, high = _ranges().get(class_id, (0.0, float("inf")))
    if mine.millilitres > high or (mine.millilitres < low and not mine.truncated):
        doubts.append(f"volume: {mine.millilitres:.1f} mL, adults have {low:g} to {high:g}")
    return doubts


def _together(mine: _Component, theirs: _Component, dice: float) -> list[str]:
    """Doubts that a second teacher raises."""
    larger = max(mine.largest, theirs.largest)
    if larger < SMALL:
        return []
    if mine.millilitres == 0:
        return [f"missing: the second teacher draws {theirs.millilitres:.1f} mL"]
    doubts = []
    if dice < LEAST_DICE:
        doubts.append(f"agreement: Dice {dice:.2f} with the second teacher, below {LEAST_DICE}")
    smaller = min(mine.largest, theirs.largest)
    if larger > MOST_RATIO * smaller:
        doubts.append(
            f"agreement: largest components of {mine.largest:.1f} and {theirs.largest:.1f} mL"
        )
    return doubts


def _ranges() -> dict[int, tuple[float, float]]:
    ids = anatomy.dataset_ids({name: n for n, name in enumerate(_MILLILITRES)})
    return {ids[n]: limits for n, limits in enumerate(_MILLILITRES.values())}


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    total = int(one.sum()) + int(other.sum())
    return 1.0 if total == 0 else float(2 * (one & other).sum() / total)
