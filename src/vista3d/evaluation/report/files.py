"""The figures as CSV and JSON. Empty cells and null: no value, or an infinite one."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vista3d.evaluation.comparison import Difference
from vista3d.evaluation.run_folder import Run
from vista3d.results.json_file import write_json
from vista3d.volume.writers import atomic_path

Listed = Sequence[tuple[Run, Sequence[Difference]]]
"""Runs, and how much better each is than the first of its protocol."""


def summary_document(listed: Listed) -> dict[str, Any]:
    """Every figure of every run, for programs."""
    return {
        "format": "vista3d evaluation summary 1",
        "runs": [
            {
                "name": run.name,
                "settings": run.settings.document(),
                "model": run.model,
                "part": None if run.part is None else asdict(run.part),
                "scans": len({row.scan for row in run.rows}),
                "failures": run.failures,
                "figures": [_finite(asdict(line)) for line in run.lines],
                "differences": [_finite(asdict(line)) for line in better],
            }
            for run, better in listed
        ],
    }


def write_summary(path: Path, listed: Listed) -> Path:
    """`summary_document` as a file."""
    return write_json(path, summary_document(listed))


def write_csv(folder: Path, runs: Sequence[Run]) -> list[Path]:
    """`summary.csv`: a line for each structure and budget; `scores.csv`: for each mask."""
    lines = [
        {"run": run.name, "protocol": run.settings.label, **_flat(_finite(asdict(line)))}
        for run in runs
        for line in run.lines
    ]
    scores = [
        {"run": run.name, "protocol": run.settings.label, **row.to_json()}
        for run in runs
        for row in run.rows
    ]
    return [_write(folder / "summary.csv", lines), _write(folder / "scores.csv", scores)]


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(rows[0]) if rows else []
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({name: _plain(cell) for name, cell in row.items()} for row in rows)
    return path


def _plain(cell: Any) -> Any:
    """Somebody's text that a spreadsheet would take for a formula, as text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """`dice`: {value, low, high} -> `dice`, `dice_low`, `dice_high`."""
    return dict(_cells(values.items()))


def _cells(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    for name, value in items:
        if isinstance(value, dict):
            yield from ((name if k == "value" else f"{name}_{k}", v) for k, v in value.items())
        else:
            yield name, value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
