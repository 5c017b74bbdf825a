"""Left and right: the ways to get them wrong, told apart by anatomy.

Evidence, all in RAS millimetres (x grows to the patient's right, y to the front):
  pairs     right kidney lies right of left kidney, for every pair of the anatomy table;
  sided     liver, gallbladder and vena cava lie right of the midline, spleen, stomach and heart
            left of it; the midline is halfway between the partners of pairs, which exchanged labels
            do not move, or that of the spine, or of the body;
  front     sternum, heart, liver and bladder lie before the spine;
  fit       HU within each label vary less where the labels lie on their organs than where they are
            mirrored on the grid.

    pairs wrong, sided right         the labels left and right are exchanged
    both wrong, fit better mirrored  the label array is mirrored against its scan
    both wrong, and front and back   turned about the long axis: an LPS header read as RAS
    both wrong, front before back    scan and labels are mirrored: the header's x axis is wrong
    both wrong                       one of these two: no organ of the front and of the back
    pairs right, sided wrong         mirrored before it was labelled, or situs inversus
    some pairs wrong                 these labels are exchanged
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vista3d import anatomy
from vista3d.training.data.check.facts import Facts

Point = tuple[float, float, float]

CLEAR = 10.0
"""mm that a side must differ by to count: neighbouring vessels and slabs lie closer."""

BETTER = 0.7
"""Ratio of variances (mirrored / as it is) below which the mirrored labels fit better."""

_BACK = ("vertebrae", "spinal cord", "sacrum")
_FRONT = ("sternum", "heart", "liver", "bladder")
_SCAN = {True: "sides-turned", False: "sides-scan", None: "sides-header"}
"""What is wrong where all sides are reversed; by whether the back lies before the front."""
_MIDDLE = (
    "spinal cord", "sacrum", "sternum", "trachea", "brain-stem", "thyroid gland", "vertebrae",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What is wrong with the sides of a case.

    Attributes:
        kind: "sides-labels", "sides-array", "sides-scan", "sides-turned", "sides-header",
            "sides-anatomy", "sides-pair" or "sides-unclear".
        value: the evidence.
        pairs: (left id, right id) of the pairs that are wrong.
    """

    kind: str
    value: str
    pairs: tuple[tuple[int, int], ...]


def judge(facts: Facts, centroids: Mapping[int, Point]) -> Verdict | None:
    """Judge the sides of a case; None where nothing is wrong or nothing can be said.

    Args:
        facts: of the case.
        centroids: global id -> RAS mm.
    """
    gaps = _gaps(centroids)
    wrong = tuple(pair for pair, gap in gaps.items() if gap < 0)
    right = len(gaps) - len(wrong)
    good, bad = _sided(centroids, _midline(centroids, facts.midline))
    mirrored = facts.fit is not None and facts.fit[1] < BETTER * facts.fit[0]
    both = "sides-array" if mirrored else _SCAN[_turned(centroids)]
    value = _evidence(gaps, wrong, good, bad)
    # A pair is a vote of its own; organs with a known side are few, and two are needed to accuse.
    if len(wrong) > right:
        if len(bad) > len(good) and len(bad) + len(wrong) > 1:
            return Verdict(both, value, wrong)
        if len(good) > len(bad):
            return Verdict("sides-labels", value, wrong)
        return Verdict("sides-array" if mirrored else "sides-unclear", value, wrong)
    if len(bad) >= 2 and not good:
        if right == 0:
            return Verdict(both, value, ())
        return Verdict("sides-anatomy", value, ())
    return Verdict("sides-pair", value, wrong) if wrong else None


def _gaps(centroids: Mapping[int, Point]) -> dict[tuple[int, int], float]:
    """(left id, right id) -> how far the right one lies to the right, mm; clear cases only."""
    gaps = {}
    for left in centroids:
        right = anatomy.mirror(left)
        if anatomy.by_id(left).laterality != "left" or right == left or right not in centroids:
            continue
        gap = centroids[right][0] - centroids[left][0]
        if abs(gap) >= CLEAR:
            gaps[left, right] = gap
    return gaps


def _turned(centroids: Mapping[int, Point]) -> bool | None:
    """Whether the back lies before the front; None where one of them is not drawn."""
    back, front = (
        [centroids[i][1] for i in anatomy.resolve(names) if i in centroids]
        for names in (_BACK, _FRONT)
    )
    if not back or not front:
        return None
    gap = float(np.median(front) - np.median(back))
    return None if abs(gap) < CLEAR else gap < 0


def _midline(centroids: Mapping[int, Point], body: float | None) -> float | None:
    """x of the patient's middle, mm."""
    pairs = [
        (centroids[left][0] + centroids[anatomy.mirror(left)][0]) / 2
        for left in centroids
        if anatomy.mirror(left) != left and anatomy.mirror(left) in centroids
    ]
    middle = [centroids[i][0] for i in anatomy.resolve(_MIDDLE) if i in centroids]
    found = pairs + middle
    return float(np.median(found)) if found else body


def _sided(
    centroids: Mapping[int, Point], midline: float | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Organs on the side where they belong, and on the other one."""
    good: list[int] = []
    bad: list[int] = []
    if midline is not None:
        for names, sign in ((anatomy.RIGHT, 1), (anatomy.LEFT, -1)):
            for class_id in anatomy.dataset_ids({name: n for n, name in enumerate(names)}).values():
                offset = sign * (centroids[class_id][0] - midline) if class_id in centroids else 0.0
                if abs(offset) >= CLEAR:
                    (good if offset > 0 else bad).append(class_id)
    return tuple(good), tuple(bad)


def _evidence(
    gaps: Mapping[tuple[int, int], float],
    wrong: tuple[tuple[int, int], ...],
    good: tuple[int, ...],
    bad: tuple[int, ...],
) -> str:
    def names(ids: tuple[int, ...]) -> str:
        text = ", ".join(anatomy.by_id(i).name for i in ids[:4])
        return text + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")

    parts = []
    if wrong:
        which = "; ".join(
            f"{anatomy.by_id(right).name} {-gaps[left, right]:.0f} mm left of "
            f"{anatomy.by_id(left).name}"
            for left, right in wrong[:3]
        )
        parts.append(f"{len(wrong)} of {len(gaps)} pairs reversed ({which})")
    elif gaps:
        parts.append(f"{len(gaps)} pairs in order")
    if bad:
        parts.append(f"on the wrong side: {names(bad)}")
    if good:
        parts.append(f"on their side: {names(good)}")
    return "; ".join(parts)
