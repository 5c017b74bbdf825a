"""The words of a batch: what was asked, how a case ended, who listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from vista3d.anatomy import Modality, Vocabulary
from vista3d.cli.cases import Case

if TYPE_CHECKING:
    from vista3d.results import StructureStatistics


@dataclass(frozen=True)
class Settings:
    """What was asked of the run, the same for every case.

    Attributes:
        classes: global ids, or "everything": all that the model knows.
        vocabulary: of the model; says what the ids are called.
        model: name or path, as given.
        weights: `results.describe_source` of the weights file.
        device, runtime, precision, preset, modality: as given.
        formats: of the outputs.
        truth: a label map in global ids on the grid of the scan, for Dice.
        resume: skip what a former run has finished.
    """

    classes: tuple[int, ...] | Literal["everything"]
    model: str
    weights: dict[str, Any]
    device: str
    runtime: str
    precision: str
    preset: str
    modality: Modality
    formats: tuple[str, ...]
    truth: Path | None = None
    series: str | None = None
    resume: bool = False
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def document(self) -> dict[str, Any]:
        """For the report."""
        asked = self.classes if self.classes == "everything" else sorted(self.classes)
        return {
            "classes": asked,
            "model": Path(self.model).name,
            "weights": self.weights,
            "device": self.device,
            "runtime": self.runtime,
            "precision": self.precision,
            "preset": self.preset,
            "modality": self.modality,
            "formats": list(self.formats),
            **({} if self.series is None else {"series": self.series}),
        }


@dataclass(frozen=True)
class CaseResult:
    """How a case ended.

    Attributes:
        state: "finished", "skipped" (by --resume), "failed" or "cancelled".
        seconds: from reading to the last file.
        report: in the form of `results.case_report`.
        rows: statistics of all classes asked for; empty unless finished in this run.
        dice: Dice per class where a truth was given.
        error: why it failed or was cancelled.
    """

    case: Case
    state: str
    seconds: float
    report: dict[str, Any]
    rows: Sequence[StructureStatistics] = ()
    dice: dict[int, float | None] = field(default_factory=dict)
    error: BaseException | None = None


class Listener(Protocol):
    """Who shows what happens: a bar on a terminal, lines in a log."""

    def begin(self, case: str) -> None:
        """A case starts."""

    def step(self, what: str, fraction: float | None = None) -> None:
        """A step of the case, with the finished part of the case in [0, 1] where it is known."""

    def end(self, result: CaseResult) -> None:
        """A case ended."""
