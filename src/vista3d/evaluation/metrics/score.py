"""All that is measured of one structure in one scan."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from vista3d.evaluation.metrics.overlap import dice
from vista3d.evaluation.metrics.surface import hausdorff95, surface_dice
from vista3d.evaluation.metrics.volume import volume_ml
from vista3d.volume import Geometry

TOLERANCE_MM = 1.0
"""Of the surface Dice. Nikolov et al. took what separates two clinicians, 1 mm for most organs at
risk on scans of 1 mm; state another one for coarser scans."""

Outcome = Literal["found", "missed", "false positive", "true negative"]
"""Truth and prediction hold voxels; only the truth; only the prediction; neither."""


@dataclass(frozen=True)
class Score:
    """One structure in one scan.

    Attributes:
        dice: in [0, 1]; 0 for a structure that was missed or invented; NaN for a true negative.
        surface_dice: the same at the tolerance asked for.
        hausdorff95_mm: infinite for a structure that was missed or invented; NaN as above.
        truth_ml: volume of the truth.
        found_ml: volume of the prediction.
    """

    dice: float
    surface_dice: float
    hausdorff95_mm: float
    truth_ml: float
    found_ml: float

    @property
    def outcome(self) -> Outcome:
        """Which of the four cases it is."""
        if self.truth_ml:
            return "found" if self.found_ml else "missed"
        return "false positive" if self.found_ml else "true negative"

    @property
    def volume_error_ml(self) -> float:
        """Signed: positive where too much was found."""
        return self.found_ml - self.truth_ml

    @property
    def volume_error(self) -> float:
        """The same as a share of the true volume; NaN where there is none."""
        return self.volume_error_ml / self.truth_ml if self.truth_ml else math.nan

    def to_json(self) -> dict[str, float | None]:
        """For a file; JSON has neither NaN nor infinity, and `from_json` brings both back."""
        return {k: v if math.isfinite(v) else None for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Score:
        """Inverse of `to_json`."""
        truth, found = float(values["truth_ml"]), float(values["found_ml"])
        if truth and found:
            return cls(*(float(values[k]) for k in cls.__dataclass_fields__))
        return one_sided(truth, found)


def score(
    found: np.ndarray, truth: np.ndarray, geometry: Geometry, tolerance_mm: float = TOLERANCE_MM
) -> Score:
    """Measure one structure on the scan's own grid.

    Args:
        found: bool [i, j, k], the prediction.
        truth: bool [i, j, k].
        geometry: of the scan.
        tolerance_mm: of the surface Dice.
    """
    truth_ml, found_ml = volume_ml(truth, geometry), volume_ml(found, geometry)
    if not truth_ml or not found_ml:
        return one_sided(truth_ml, found_ml)
    return Score(
        dice=dice(found, truth),
        surface_dice=surface_dice(found, truth, geometry.spacing, tolerance_mm),
        hausdorff95_mm=hausdorff95(found, truth, geometry.spacing),
        truth_ml=truth_ml,
        found_ml=found_ml,
    )


def one_sided(truth_ml: float, found_ml: float) -> Score:
    """Where truth, prediction or both are empty, no overlap and no distance has to be computed."""
    if not truth_ml and not found_ml:
        return Score(math.nan, math.nan, math.nan, 0.0, 0.0)
    return Score(0.0, 0.0, math.inf, truth_ml, found_ml)
