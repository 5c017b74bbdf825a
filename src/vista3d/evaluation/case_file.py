"""The result of one case on disk: what makes a run resumable.

Everything that decides the numbers is written beside them, and a file counts only where all of it
is the same. No time is written: the same run gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vista3d import __version__
from vista3d.evaluation.case import EvaluationCase
from vista3d.evaluation.row import Row
from vista3d.evaluation.settings import Settings
from vista3d.results.json_file import write_json
from vista3d.results.report import describe_source, plain

FORMAT = "vista3d evaluation case 1"


def path_of(folder: Path, settings: Settings, case: EvaluationCase) -> Path:
    """Where the result of a case lies in the folder of a run."""
    return folder / settings.label / _safe(case.dataset) / f"{_safe(case.name)}.json"


def identity(case: EvaluationCase, settings: Settings, model: dict[str, Any]) -> dict[str, Any]:
    """All that decides the numbers of a case.

    Raises:
        OSError: a file cannot be read.
    """
    files = {"image": describe_source(case.image), "label": describe_source(case.label)}
    targets, others = ([asdict(t) for t in some] for some in (case.targets, case.others))
    document: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "vista3d": __version__,
            "patient": case.patient,
            "files": {name: about["sha256"] for name, about in files.items()},
            "targets": targets,
            "others": others,
            "prompts": case.prompts,
            "settings": settings.document(),
            "model": model,
        }
    )
    return document


def write_rows(path: Path, rows: Sequence[Row], about: dict[str, Any]) -> None:
    """Write the result of a case, atomically."""
    write_json(path, {**about, "rows": [row.to_json() for row in rows]})


def read_rows(path: Path, about: dict[str, Any]) -> list[Row] | None:
    """The result of a former run; None where there is none, or of something else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = document.pop("rows")
        return [Row.from_json(row) for row in rows] if document == about else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # A damaged file proves nothing: the case is done again.
        return None


def _safe(name: str) -> str:
    """A file name from a name that somebody's list gives; different ones stay different."""
    safe = re.sub(r"[^\w.+-]", "_", name).lstrip(".")
    if safe == name:
        return name
    return f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
