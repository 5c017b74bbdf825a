"""Figures for people and programs: CSV, JSON, and one self-contained HTML page."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from vista3d.evaluation.comparison import common
from vista3d.evaluation.report.files import write_csv, write_summary
from vista3d.evaluation.run_folder import Run, read_runs
from vista3d.evaluation.summary import Line, summarise

__all__ = ["Report", "compare"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """Runs and what is said of them.

    Attributes:
        runs: in the order of the report; runs of one protocol are shown side by side, each
            compared with the first of them.
    """

    runs: tuple[Run, ...]

    def lines(self, run: Run) -> list[Line]:
        """Figures of a run, see `summary.summarise`."""
        return summarise(run.rows, official=run.settings.official, seed=run.settings.seed)

    @property
    def failures(self) -> dict[str, str]:
        """Case -> why it could not be evaluated, of all runs."""
        return {case: why for run in self.runs for case, why in run.failures.items()}

    def write(self, folder: Path) -> list[Path]:
        """Write `report.html`, `tables.md`, `summary.json`, `summary.csv` and `scores.csv`."""
        from vista3d.evaluation.report.markdown import write_markdown
        from vista3d.evaluation.report.page import write_page

        listed = [(run, self.lines(run)) for run in self.runs]
        return [
            write_page(folder / "report.html", listed),
            write_markdown(folder / "tables.md", listed),
            write_summary(folder / "summary.json", listed),
            *write_csv(folder, listed),
        ]


def compare(folders: list[Path]) -> Report:
    """Finished runs side by side; folders of the same name are told apart by their parents.

    Raises:
        InputError: a folder without a run, or a damaged one.
    """
    whole = [folder.resolve() for folder in folders]
    names = [folder.name for folder in whole]
    runs = [
        replace(run, name=f"{folder.parent.name}/{name}" if names.count(name) > 1 else name)
        for folder, name in zip(whole, names, strict=True)
        for run in read_runs(folder)
    ]
    for run in runs:
        first = next(other for other in runs if other.settings.label == run.settings.label)
        if run is not first and not common(run.rows, first.rows):
            log.warning(
                "%s and %s (%s) scored no structure of a scan both: nothing of them is compared",
                first.name, run.name, run.settings.label,
            )  # fmt: skip
    return Report(tuple(runs))
