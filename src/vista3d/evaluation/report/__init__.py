"""Figures for people and programs: CSV, JSON, and one self-contained HTML page."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from vista3d.evaluation.comparison import Difference, common, differences
from vista3d.evaluation.report.files import Listed, write_csv, write_summary
from vista3d.evaluation.run_folder import Run, read_runs

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

    @cached_property
    def differences(self) -> tuple[list[Difference], ...]:
        """Of each run to the first one of the same protocol; none for that one itself."""
        out = []
        for run in self.runs:
            first = next(other for other in self.runs if other.settings.label == run.settings.label)
            official, seed = run.settings.official, run.settings.seed
            better = differences(run.rows, first.rows, official=official, seed=seed)
            out.append([] if run is first else better)
        return tuple(out)

    @property
    def failures(self) -> dict[str, str]:
        """Case -> why it could not be evaluated, of all runs."""
        return {case: why for run in self.runs for case, why in run.failures.items()}

    def write(self, folder: Path) -> list[Path]:
        """Write `report.html`, `tables.md`, `summary.json`, `summary.csv` and `scores.csv`."""
        from vista3d.evaluation.report.markdown import write_markdown
        from vista3d.evaluation.report.page import write_page

        return [
            write_page(folder / "report.html", self.listed),
            write_markdown(folder / "tables.md", self.listed),
            write_summary(folder / "summary.json", self.listed),
            *write_csv(folder, self.runs),
        ]

    @property
    def listed(self) -> Listed:
        """Each run with its differences."""
        return list(zip(self.runs, self.differences, strict=True))


def compare(folders: list[Path]) -> Report:
    """Finished runs side by side; folders of one name are told apart by as many of their parents as
    it takes.

    Raises:
        InputError: a folder without a run, or a damaged one.
    """
    whole = [folder.resolve() for folder in folders]
    runs = [
        replace(run, name=name)
        for folder, name in zip(whole, _names(whole), strict=True)
        for run in read_runs(folder)
    ]
    for run in runs:
        first = next(other for other in runs if other.settings.label == run.settings.label)
        if run is not first and not common(run.rows, first.rows):
            log.warning(
                "%s and %s (%s) scored no structure of a scan after as many clicks both: nothing "
                "of them is compared", first.name, run.name, run.settings.label,
            )  # fmt: skip
        if run.settings.tolerance_mm != first.settings.tolerance_mm:
            log.warning(
                "%s and %s (%s) have surface Dice of %g and %g mm", first.name, run.name,
                run.settings.label, first.settings.tolerance_mm, run.settings.tolerance_mm,
            )  # fmt: skip
    return Report(tuple(runs))


def _names(folders: list[Path]) -> list[str]:
    """The last parts of paths, as few as tell them apart."""

    def called(path: Path, parts: int) -> str:
        return "/".join(path.parts[-parts:]).replace("//", "/")

    longest = max(len(folder.parts) for folder in folders)
    out = []
    for folder in folders:
        others = [other for other in folders if other != folder]
        parts = next(
            n for n in range(1, longest + 1)
            if n == longest or called(folder, n) not in {called(o, n) for o in others}
        )  # fmt: skip
        out.append(called(folder, parts))
    return out
