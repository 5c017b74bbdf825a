"""The HTML page: one file with everything in it, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from vista3d.errors import UsageError
from vista3d.evaluation.comparison import Difference
from vista3d.evaluation.report.charts import Curve, chart, strip
from vista3d.evaluation.report.figures import figure, interval, is_clear, signed
from vista3d.evaluation.report.files import Listed
from vista3d.evaluation.row import Row
from vista3d.evaluation.run_folder import Run
from vista3d.evaluation.settings import Settings
from vista3d.evaluation.summary import ALL, Line
from vista3d.volume.writers import atomic_path

if TYPE_CHECKING:
    from jinja2 import Template

WORST = 6
"""Pictures of a run."""


@dataclass(frozen=True)
class Shown:
    """One run on the page.

    Attributes:
        run: its figures and pictures.
        better: than the first run of the same protocol; empty for that one itself.
        style: CSS class of its colour.
        last: clicks that the tables are of; None where the runs of a group have none in common.
    """

    run: Run
    better: Sequence[Difference]
    style: str
    last: int | None

    @property
    def lines(self) -> list[Line]:
        """Of all scans."""
        return [line for line in self.run.lines if not line.dataset]

    @property
    def parts(self) -> list[Line]:
        """Of each data set, where there are several."""
        return [line for line in self.run.lines if line.dataset and line.clicks == self.last]

    def named(self, structure: str) -> Line | None:
        """A structure after the last click; None where this run does not have it."""
        found = (x for x in self.lines if (x.structure, x.clicks) == (structure, self.last))
        return next(found, None)

    def difference(self, structure: str) -> Difference | None:
        """To the first run, after the last click."""
        found = (x for x in self.better if (x.structure, x.clicks) == (structure, self.last))
        return next(found, None)

    def strip(self, structure: str) -> str:
        """Scores of a structure after the last click."""
        line = self.named(structure)
        if line is None:
            return ""
        rows = [row for row in self.run.rows if row.clicks == self.last]
        if structure != ALL:
            rows = [row for row in rows if row.structure == structure]
        dropped = self.run.settings.official
        values = [
            row.score.dice
            for row in rows
            if not (dropped and row.score.outcome == "false positive")
        ]
        return strip(values if structure != ALL else (), line.dice)

    def worst(self) -> list[tuple[Row, str]]:
        """Rows with a picture, the worst first, and their pictures as data URLs."""
        worst: dict[tuple[str, str], Row] = {}
        for row in self.run.rows:
            if row.clicks != self.last or math.isnan(row.score.dice):
                continue
            if row.scan not in worst or row.rank < worst[row.scan].rank:
                worst[row.scan] = row
        pictures = self.run.pictures or {}
        rows = sorted(worst.values(), key=lambda row: row.rank)
        return [(row, _data_url(pictures[row.scan])) for row in rows if row.scan in pictures][
            :WORST
        ]


@dataclass(frozen=True)
class Group:
    """All runs of one protocol.

    Attributes:
        runs: in the order of the report.
        last: as `Shown.last`.
    """

    runs: Sequence[Shown]
    last: int | None

    @property
    def settings(self) -> Settings:
        """Of the first run."""
        return self.runs[0].run.settings

    @property
    def structures(self) -> list[str]:
        """Names in any of the runs."""
        names = {line.structure for shown in self.runs for line in shown.lines}
        return sorted(names - {ALL})

    def charts(self) -> list[tuple[str, str]]:
        """Title and drawing of the curves, all structures first."""
        if all(len(shown.run.settings.clicks) == 1 for shown in self.runs):
            return []
        last = max(line.used for shown in self.runs for line in shown.lines)
        return [(name, chart(self._curves(name), last)) for name in (ALL, *self.structures)]

    def _curves(self, structure: str) -> list[Curve]:
        return [
            Curve(
                shown.run.name,
                shown.style,
                tuple((x.used, x.dice) for x in shown.lines if x.structure == structure),
            )
            for shown in self.runs
        ]


def write_page(path: Path, listed: Listed) -> Path:
    """Write the page of some runs, atomically.

    Raises:
        UsageError: Jinja is not installed.
    """
    names = list(dict.fromkeys(run.name for run, _ in listed))
    scored = [(run, better) for run, better in listed if run.lines]  # else every scan failed
    groups = []
    for label in dict.fromkeys(run.settings.label for run, _ in scored):
        own = [(run, better) for run, better in scored if run.settings.label == label]
        both = set.intersection(*({line.clicks for line in run.lines} for run, _ in own))
        last = max(both, default=None)
        shown = [Shown(r, better, f"c{names.index(r.name) % 6}", last) for r, better in own]
        groups.append(Group(shown, last))
    scans = {row.scan for run, _ in listed for row in run.rows}
    text = _template().render(
        groups=groups,
        runs=[run for run, _ in listed],
        names=names,
        datasets=sorted(Counter(dataset for dataset, _ in scans).items()),
        parts=_parts([run for run, _ in listed]),
        all_structures=ALL,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _parts(runs: Sequence[Run]) -> list[str]:
    """Which scans the runs took; once, where that is the same of all."""
    if len({run.part for run in runs}) == 1:
        return [run.part.sentence for run in runs[:1] if run.part]
    return [f"{run.name}, {run.settings.label}: {run.part}." for run in runs if run.part]


@cache
def _template() -> Template:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        msg = "the HTML report needs Jinja: `pip install vista3d[evaluate]`"
        raise UsageError(msg) from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"figure": figure, "interval": interval, "signed": signed}
    environment.tests["clear"] = is_clear
    folder = resources.files(__package__)
    return environment.from_string(folder.joinpath("page.html.j2").read_text(encoding="utf-8"))


def _data_url(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
