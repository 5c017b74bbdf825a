"""One case: read, answer by the protocol, score, draw what went worst."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vista3d.evaluation import case_file
from vista3d.evaluation.answer import Answer
from vista3d.evaluation.case import EvaluationCase
from vista3d.evaluation.metrics import score
from vista3d.evaluation.picture import draw_errors, write_picture
from vista3d.evaluation.row import Row
from vista3d.evaluation.scan import Scan
from vista3d.evaluation.settings import Settings
from vista3d.inference import Model


@dataclass(frozen=True)
class CaseRun:
    """A case to be done in a run.

    Attributes:
        case: with the structures to evaluate.
        settings: of the run.
        about_model: `settings.describe_model`.
        folder: of the run, for files; None: nothing is written.
    """

    case: EvaluationCase
    settings: Settings
    about_model: dict[str, Any]
    folder: Path | None

    def finished(self) -> list[Row] | None:
        """The rows of a former run of the very same."""
        if self.folder is None:
            return None
        path = case_file.path_of(self.folder, self.settings, self.case)
        if not path.is_file():
            return None
        return case_file.read_rows(path, self._identity())

    def execute(self, model: Model) -> list[Row]:
        """Do it.

        Raises:
            Vista3DError: a file that cannot be read, a scan that cannot be segmented.
        """
        scan = Scan.read(self.case, model, self.settings.seed)
        chosen = self.settings.experiment.function(self.settings.official)
        rows: list[Row] = []
        worst: tuple[Row, Answer] | None = None  # at the last budget, for the picture
        # Where no voxel means "not drawn", the truth says nothing of what has none.
        targets = [t for t in self.case.targets if t.absence or scan.truth(t).any()]
        for answer in chosen(scan, targets, self.settings.clicks) if targets else ():
            row = self._row(scan, answer)
            rows.append(row)
            if answer.clicks == self.settings.clicks[-1] and not _better(row, worst):
                worst = row, answer
        if self.folder is not None:
            path = case_file.path_of(self.folder, self.settings, self.case)
            drawn = path.with_suffix(".jpg")
            drawn.unlink(missing_ok=True)  # of a former run
            if worst is not None:
                answer = worst[1]
                picture = draw_errors(scan.volume, scan.truth(answer.target), answer.mask)
                if picture is not None:
                    write_picture(drawn, picture)
            case_file.write_rows(path, rows, self._identity())
        return rows

    def _row(self, scan: Scan, answer: Answer) -> Row:
        found = score(
            answer.mask,
            scan.truth(answer.target),
            scan.volume.geometry,
            self.settings.tolerance_mm,
        )
        case, target = self.case, answer.target
        return Row(
            case.dataset, case.name, case.patient, target.name, target.class_id,
            answer.clicks, answer.used, found,
        )  # fmt: skip

    def _identity(self) -> dict[str, Any]:
        return case_file.identity(self.case, self.settings, self.about_model)


def _better(row: Row, worst: tuple[Row, Any] | None) -> bool:
    """Whether a row is no candidate for the picture: better than the worst, or without a score."""
    return row.score.outcome == "true negative" or (worst is not None and row.rank >= worst[0].rank)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows in a fixed order, whatever order the cases ended in."""
    return sorted(rows, key=lambda row: (row.dataset, row.case, row.structure, row.clicks))
