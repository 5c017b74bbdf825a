"""What each class must win by, chosen on scans that the model was trained on.

A soft Dice and borders that annotators disagree on teach masks that are too large, and by how much
differs from class to class: the esophagus of `mini` had twice its volume, on training scans too. A
margin taken off a class's logit is the cheapest remedy: nothing is trained, no time is spent later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vista3d.errors import UsageError, Vista3DError
from vista3d.evaluation.case import EvaluationCase
from vista3d.evaluation.metrics import dice
from vista3d.evaluation.scan import Scan

if TYPE_CHECKING:
    from vista3d.inference import Model
    from vista3d.network.metadata import CheckpointMeta

log = logging.getLogger(__name__)

MARGINS = (0.0, 0.35, 0.7, 1.05, 1.4)
"""Tried, in logits: odds of 1 to 4 against the class."""

LEAST_SCANS = 8
"""Fewer scans of a structure say too little: it keeps a margin of 0."""

LEAST_GAIN = 0.002
"""Dice that a larger margin must add."""


@dataclass(frozen=True)
class Line:
    """One class on the scans where it is drawn.

    Attributes:
        class_id: global id.
        name: of the structure.
        scans: how many.
        dice: mean for each of `MARGINS`.
        margin: chosen.
    """

    class_id: int
    name: str
    scans: int
    dice: tuple[float, ...]
    margin: float


def calibrate(
    model: Model,
    cases: Iterable[EvaluationCase],
    listen: Callable[[str], None] = lambda name: None,
) -> list[Line]:
    """Segment each scan, and choose the best margin of every class.

    All classes have the same margin while it is tried (neighbours that touch are few), which takes
    it off the evidence against background and moves no border between classes.

    Args:
        model: its own margins do not count.
        cases: scans that it was trained on; others would leak into what is measured on them.
        listen: told the name of each scan.

    Raises:
        UsageError: no class of the model is drawn in any scan.
    """
    bare = replace(model, meta=replace(model.meta, margins={}))
    scores: dict[int, list[list[float]]] = {}
    for case in cases:
        listen(case.name)
        try:
            scan = Scan.read(case, bare, seed=0)
        except Vista3DError as error:
            log.warning("%s is left out: %s", case.name, error)
            continue
        masks = {t.class_id: scan.truth(t) for t in case.targets if t.class_id is not None}
        drawn = {i: m for i, m in masks.items() if i in model.meta.classes and m.any()}
        if not drawn:
            continue
        found = bare.segment(scan.volume, list(drawn), output="evidence")
        assert found.evidence is not None
        for number, mask in drawn.items():
            own = found.labels == number
            row = [dice(own & (found.evidence > margin), mask) for margin in MARGINS]
            scores.setdefault(number, []).append(row)
    if not scores:
        msg = f"no scan has a structure that model {model.meta.name!r} was trained on"
        raise UsageError(msg)
    return [_line(model, number, rows) for number, rows in sorted(scores.items())]


def calibrated(meta: CheckpointMeta, lines: Iterable[Line]) -> CheckpointMeta:
    """The metadata with the chosen margins; classes without a line keep a margin of 0."""
    margins = {line.class_id: line.margin for line in lines if line.margin}
    return replace(meta, margins=margins)


def _line(model: Model, number: int, rows: list[list[float]]) -> Line:
    means = tuple(float(mean) for mean in np.mean(rows, 0))
    best = 0
    for place, mean in enumerate(means):
        if len(rows) >= LEAST_SCANS and mean > means[best] + LEAST_GAIN:
            best = place
    name = model.vocabulary.by_id(number).name
    return Line(number, name, len(rows), means, MARGINS[best])
