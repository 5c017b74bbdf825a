"""The folder of a run: `run.json` for every protocol in it, one file a case, and the report.

RUN/report.html                      everything, for people
RUN/tables.md                        the tables alone
RUN/summary.csv, scores.csv          figures with intervals; every structure of every scan
RUN/auto/run.json                    what was asked, of which model
RUN/auto/DATASET/CASE.json, .jpg     one case, and a picture of what went worst in it
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vista3d.errors import InputError, UsageError
from vista3d.evaluation import case_file
from vista3d.evaluation.case_run import in_order
from vista3d.evaluation.part import Part
from vista3d.evaluation.protocols import PROTOCOLS
from vista3d.evaluation.row import Row
from vista3d.evaluation.run import CaseEnd
from vista3d.evaluation.settings import Settings
from vista3d.evaluation.summary import Line, summarise
from vista3d.results.json_file import write_json

RUN_FILE = "run.json"
FORMAT = "vista3d evaluation run 1"


@dataclass(frozen=True)
class Run:
    """One protocol, done.

    Attributes:
        settings: what was asked.
        model: `settings.describe_model`.
        rows: all scores, in a fixed order.
        failures: case -> why it failed.
        name: tells runs apart that are shown side by side.
        pictures: (data set, case) -> picture of the structure that went worst.
        part: which scans; None where a run was written before that was kept.
    """

    settings: Settings
    model: dict[str, Any]
    rows: tuple[Row, ...]
    failures: dict[str, str]
    name: str = ""
    pictures: dict[tuple[str, str], Path] | None = None
    part: Part | None = None

    @cached_property
    def lines(self) -> list[Line]:
        """Figures with intervals: `summary.summarise`."""
        return summarise(self.rows, official=self.settings.official, seed=self.settings.seed)


def collect(
    ends: list[CaseEnd],
    settings: Settings,
    model: dict[str, Any],
    folder: Path | None,
    part: Part | None = None,
) -> Run:
    """A run from how its cases ended; written to `folder`, if there is one."""
    rows = told_apart(row for end in ends for row in end.rows)
    failures = {f"{e.case.dataset}/{e.case.name}": e.error for e in ends if e.state == "failed"}
    files = {}
    if folder is not None:
        paths = {
            (e.case.dataset, e.case.name): case_file.path_of(folder, settings, e.case)
            for e in ends
            if e.state != "failed"
        }
        files = {key: path.with_suffix(".jpg") for key, path in paths.items()}
        own = folder / settings.label
        document = {
            "format": FORMAT,
            "settings": settings.document(),
            "model": model,
            "part": None if part is None else asdict(part),
            "failures": failures,
            "cases": [
                {"dataset": key[0], "case": key[1], "file": path.relative_to(own).as_posix()}
                for key, path in paths.items()
            ],
        }
        write_json(own / RUN_FILE, document)
    name = model["name"]
    return Run(settings, model, rows, failures, name, _existing(files), part)


def read_runs(folder: Path) -> list[Run]:
    """Every protocol in the folder of a run; runs are called after the folder.

    Raises:
        InputError: no run, or a damaged one.
    """
    files = list(folder.glob(f"*/{RUN_FILE}"))
    if not files:
        msg = f"{folder} holds no evaluation: give the folder that `vista3d evaluate -o` wrote"
        raise InputError(msg)
    runs = [_read(file, folder.resolve().name) for file in files]
    order = list(PROTOCOLS)
    return sorted(runs, key=lambda run: (order.index(run.settings.protocol), run.settings.label))


def _read(file: Path, name: str) -> Run:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        rows, pictures = [], {}
        settings = Settings.from_document(document["settings"])
        _ = settings.experiment  # there is such a protocol
        model, failures = document["model"], document["failures"]
        part = Part(**document["part"]) if document.get("part") else None
        for case in document["cases"]:
            path = file.parent / case["file"]
            about = json.loads(path.read_text("utf-8"))
            if (about["settings"], about["model"]) != (document["settings"], model):
                msg = f"{path} is of another run than {file}: run the evaluation again"
                raise InputError(msg)
            rows += [Row.from_json(row) for row in about["rows"]]
            pictures[case["dataset"], case["case"]] = path.with_suffix(".jpg")
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        msg = f"{file} or a case of it is damaged ({error!r}): run the evaluation again"
        raise InputError(msg) from error
    return Run(settings, model, told_apart(rows), failures, name, _existing(pictures), part)


def told_apart(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows in order. What no model knows has nothing but the name that its data set gives it: where
    several data sets give one name, it is a structure of each."""
    rows = in_order(rows)
    sets: dict[str, set[str]] = {}
    for row in rows:
        if row.class_id is None:
            sets.setdefault(row.structure, set()).add(row.dataset)
    return tuple(
        replace(row, structure=f"{row.structure} ({row.dataset})")
        if row.class_id is None and len(sets[row.structure]) > 1
        else row
        for row in rows
    )


def _existing(files: dict[tuple[str, str], Path]) -> dict[tuple[str, str], Path]:
    return {key: path for key, path in files.items() if path.is_file()}
