"""Which cases a former run has finished, by its reports: same input, classes, model, settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vista3d.cli.outputs import Outputs


def finished_report(
    places: Sequence[Path | None], case: str, outputs: Outputs, wanted: dict[str, Any]
) -> dict[str, Any] | None:
    """The report of a former run that makes this case superfluous, or None.

    Args:
        places: report files to look into, of a case or of a whole run; missing ones are skipped.
        case: the name of the case.
        outputs: what this run would write; all of it must exist.
        wanted: what `identity` says of this run.
    """
    if not all(path.exists() for path in outputs.results()):
        return None
    for place in places:
        for report in _reports(place):
            if report.get("case") != case or report.get("state") not in ("finished", "skipped"):
                continue
            if identity(report) == wanted:
                return report
    return None


def identity(report: dict[str, Any]) -> dict[str, Any]:
    """What decides the result of a case, read from a report in the form of `case_report`."""
    settings = report.get("settings") or {}
    return {
        "input": (report.get("input") or {}).get("sha256"),
        "classes": settings.get("classes"),
        "weights": (settings.get("weights") or {}).get("sha256"),
        "preset": settings.get("preset"),
        "modality": settings.get("modality", "ct"),
        "series": settings.get("series"),
    }


def _reports(place: Path | None) -> list[dict[str, Any]]:
    if place is None or not place.is_file():
        return []
    try:
        document = json.loads(place.read_text())
    except (OSError, ValueError):
        # A damaged report proves nothing: the case is done again.
        return []
    if not isinstance(document, dict):
        return []
    cases = document.get("cases", [document])
    return [entry for entry in cases if isinstance(entry, dict)]
