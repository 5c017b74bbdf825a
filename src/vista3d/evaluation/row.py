"""One measured line: a structure of a scan after a number of clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vista3d.evaluation.metrics import Score


@dataclass(frozen=True)
class Row:
    """A score and what it is of.

    Attributes:
        dataset, case, patient: the scan.
        structure: name.
        class_id: global id, or None.
        clicks: budget; 0 for automatic results.
        used: clicks made.
        score: of the mask.
    """

    dataset: str
    case: str
    patient: str
    structure: str
    class_id: int | None
    clicks: int
    used: int
    score: Score

    @property
    def scan(self) -> tuple[str, str]:
        """Which scan, in a run over several data sets."""
        return self.dataset, self.case

    @property
    def owner(self) -> str:
        """Whose scan, in a run over several data sets."""
        return f"{self.dataset}/{self.patient}"

    @property
    def rank(self) -> tuple[float, str]:
        """Ascending: the worst first, those of one Dice by name. NaN where nothing is scored."""
        return self.score.dice, self.structure

    def to_json(self) -> dict[str, Any]:
        """Flat, for JSON and CSV."""
        return {
            "dataset": self.dataset,
            "case": self.case,
            "patient": self.patient,
            "structure": self.structure,
            "class_id": self.class_id,
            "clicks": self.clicks,
            "used": self.used,
            "outcome": self.score.outcome,
            **self.score.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Row:
        """Inverse of `to_json`."""
        names = ("dataset", "case", "patient", "structure", "class_id", "clicks", "used")
        plain = {name: values[name] for name in names}
        return cls(**plain, score=Score.from_json(values))
