"""Local label -> global class of one data set, resolved, with the reason for every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vista3d import anatomy
from vista3d.errors import InputError
from vista3d.training.data.layouts import Listing
from vista3d.training.data.mapping import Rules, nearest

Reason = Literal["mapping file", "name", "novel", "never a target", "several classes", "unknown"]


@dataclass(frozen=True)
class LabelRow:
    """One local label.

    Attributes:
        name: local; the value as text where the layout names none.
        value: in the label file.
        class_id: global id, or None: the label is never a target.
        reason: where that comes from.
    """

    name: str
    value: int
    class_id: int | None
    reason: Reason


@dataclass(frozen=True)
class LabelTable:
    """All labels of a data set, by value."""

    rows: tuple[LabelRow, ...]

    @property
    def mapping(self) -> dict[int, int]:
        """Local value -> global id, of the targets."""
        return {row.value: row.class_id for row in self.rows if row.class_id is not None}

    @property
    def values(self) -> dict[str, int]:
        """Local name -> value."""
        return {row.name: row.value for row in self.rows}

    def classes(self, names: tuple[str, ...] | None, where: str) -> frozenset[int]:
        """Global ids of local labels, given by name or value; None: of all.

        Raises:
            InputError: a label that the data set does not have.
        """
        if names is None:
            return frozenset(self.mapping.values())
        by_name = {row.name: row for row in self.rows}
        by_value = {str(row.value): row for row in self.rows}
        found = set()
        for name in names:
            row = by_name.get(name) or by_value.get(name)
            if row is None and name not in ("background", "0"):
                msg = f"{where}: annotated label {name!r} is none of the data set's: "
                raise InputError(msg + nearest(name, by_name))
            if row is not None and row.class_id is not None:
                found.add(row.class_id)
        return frozenset(found)


def label_table(listing: Listing, rules: Rules) -> LabelTable:
    """Resolve every label of a data set.

    Raises:
        InputError: the rules name a label that the data set does not have.
    """
    values = dict(listing.labels)
    for key in (*rules.labels, *rules.novel):
        if key in values or (key.isdigit() and int(key) in values.values()):
            continue
        if not key.isdigit():
            msg = (
                f"{listing.name} has no label {key!r}, which the mapping file names: "
                f"{nearest(key, values)}"
            )
            raise InputError(msg)
        values[key] = int(key)
    rows = (_row(name, value, rules) for name, value in values.items())
    return LabelTable(tuple(sorted(rows, key=lambda row: row.value)))


def _row(name: str, value: int, rules: Rules) -> LabelRow:
    keys = (name, str(value))
    if any(key in rules.novel for key in keys):
        return LabelRow(name, value, None, "novel")
    for key in keys:
        if key in rules.labels:
            target = rules.labels[key]
            return LabelRow(
                name, value, target, "never a target" if target is None else "mapping file"
            )
    found = anatomy.dataset_ids({name: value})
    if value not in found:
        return LabelRow(name, value, None, "unknown")
    if anatomy.by_id(found[value]).parts:
        # "kidney" for both: no voxel says which of the two it is.
        return LabelRow(name, value, None, "several classes")
    return LabelRow(name, value, found[value], "name")
