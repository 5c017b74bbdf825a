"""CSV: one scan a row, columns `image`, `label`, `patient`, `annotated`, `case`; image or label is
needed, `case` is the file's name without extension unless given.

A CSV names no label values: the mapping file says what they mean, and `annotated` lists values or
names of that file, separated by `;`.
"""

from __future__ import annotations

import csv
from pathlib import Path

from vista3d.errors import InputError
from vista3d.training.data.layouts.listing import Entry, Listing, existing, sorted_unique
from vista3d.volume.nifti import stem

COLUMNS = ("image", "label", "patient", "annotated", "case")


def read_csv(file: Path) -> Listing:
    """A data set from a CSV file; its name is the file's.

    Raises:
        InputError: no CSV in UTF-8, unknown or missing columns, a row without files, paths that are
            missing or leave the list's folder.
    """
    header, rows = _table(file)
    unknown = [column for column in header if column not in COLUMNS]
    if unknown or not {"image", "label"} & set(header):
        msg = (
            f"{file}: the first line is {','.join(header)!r}, it must name the columns: image "
            "or label, and of patient, annotated and case what you need"
        )
        raise InputError(msg)
    entries = [_entry(file, line, row) for line, row in enumerate(rows, 2)]
    return Listing(file.stem, file, {}, sorted_unique(entries, file))


def is_csv_list(file: Path) -> bool:
    """Whether a CSV names scans; other tables may lie beside data sets.

    Raises:
        InputError: it cannot be read.
    """
    return bool({"image", "label"} & set(_table(file)[0]))


def _table(file: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """The columns and the rows.

    Raises:
        InputError: no UTF-8, or no CSV.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            return list(reader.fieldnames or ()), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{file} cannot be read as CSV ({error}): save it as CSV in UTF-8"
        raise InputError(msg) from error


def _entry(file: Path, line: int, row: dict[str, str | None]) -> Entry:
    def path(key: str) -> Path | None:
        text = (row.get(key) or "").strip()
        return existing(file.parent, text, file) if text else None

    image, label = path("image"), path("label")
    first = image or label
    if first is None:
        msg = f"{file}: line {line} has neither image nor label"
        raise InputError(msg)
    name = (row.get("case") or "").strip() or stem(first)
    annotated = (row.get("annotated") or "").strip()
    return Entry(
        name=name,
        patient=(row.get("patient") or "").strip() or name,
        image=image,
        label=label,
        annotated=tuple(part.strip() for part in annotated.split(";")) if annotated else None,
    )
