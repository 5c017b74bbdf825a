"""Measured tables of a model; those of the named ones are package data.

    {"performance": [TABLE, ...], "training": [TABLE, ...], "model": SHA256}
    TABLE = {"title": str, "notes": [str, ...], "columns": [str, ...], "rows": [[cell, ...], ...]}

A cell is text or a number; a number is shown with three decimals, a whole one with none.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

Cell = str | int | float


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: what was measured.
        notes: how and where, a paragraph each.
        columns: headings; the first column names the row. None: only the notes.
        rows: cells.

    Raises:
        ValueError: a row that does not fit the columns.
    """

    title: str
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                msg = f"table {self.title!r}: row {row} does not fit the columns {self.columns}"
                raise ValueError(msg)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Table:
        """From JSON."""
        rows = tuple(tuple(row) for row in values.get("rows", ()))
        notes, columns = values.get("notes", ()), values.get("columns", ())
        return cls(values["title"], tuple(notes), tuple(columns), rows)


@dataclass(frozen=True)
class Results:
    """How well a model works, and what its training cost.

    Attributes:
        performance: tables of evaluations.
        training: learning curves.
        model: checksum of the model that was evaluated (`evaluation.settings.describe_model`); ""
            where nobody stated it.
    """

    performance: tuple[Table, ...] = ()
    training: tuple[Table, ...] = ()
    model: str = ""

    def to_json(self) -> str:
        """For a file of the package."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def results_of(name: str) -> Results:
    """Of a named model, from the package; nothing where nothing was measured."""
    file = files("vista3d.card").joinpath("results", f"{name}.json")
    if not file.is_file():
        return Results()
    values = json.loads(file.read_text(encoding="utf-8"))
    performance, training = (
        tuple(Table.of(table) for table in values.get(part, ()))
        for part in ("performance", "training")
    )
    return Results(performance, training, values.get("model", ""))


def shown(cell: Cell) -> str:
    """A cell as text."""
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
