"""What a data set says of itself, before anybody interprets its labels."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from vista3d.errors import InputError
from vista3d.training.data.splits import Split


@dataclass(frozen=True)
class Entry:
    """One scan of a list.

    Attributes:
        name: unique in the list.
        patient: the list's own, or the name.
        image: CT file; None for a label map without its CT.
        label: label file; None for an unlabelled scan.
        annotated: local label names whose extent the label file states; None: all of the list.
        split: where the list fixes it; see `Listing.splits`.
        pseudo: a teacher's label map in global ids, already found reliable.
        supervoxels: file of supervoxel ids.
    """

    name: str
    patient: str
    image: Path | None
    label: Path | None
    annotated: tuple[str, ...] | None = None
    split: Split | None = None
    pseudo: Path | None = None
    supervoxels: Path | None = None


@dataclass(frozen=True)
class Listing:
    """A data set as listed.

    Attributes:
        name: of the data set.
        file: the list, for messages.
        labels: local label name -> value, without background; empty where the layout names none.
        entries: sorted by name.
        licence: of the data, where the list states it.
    """

    name: str
    file: Path
    labels: Mapping[str, int]
    entries: tuple[Entry, ...]
    licence: str = ""

    @property
    def splits(self) -> dict[str, Split]:
        """Patient -> where the list puts one of his scans, and with it all of them.

        Test goes before validation, and validation before training: nobody is on two sides.
        """
        found: dict[str, Split] = {}
        for split in get_args(Split):
            found |= {entry.patient: split for entry in self.entries if entry.split == split}
        return found


def inside(folder: Path, text: str, file: Path) -> Path:
    """A path written in a list, relative to the list's folder.

    Links are not followed: data may be linked into the folder, a list may not point out of it.

    Raises:
        InputError: absolute, or leaving the folder.
    """
    path = os.path.normpath(text)
    if os.path.isabs(text) or path.startswith(".."):
        msg = (
            f"{file.name}: {text!r} leaves the folder of the list: write paths relative to "
            f"{folder}, or link the data there"
        )
        raise InputError(msg)
    return folder / path


def existing(folder: Path, text: str, file: Path) -> Path:
    """The same, of a file that must be there.

    Raises:
        InputError: leaving the folder, a folder itself, or missing.
    """
    path = inside(folder, text, file)
    if path.is_dir():
        msg = f"{file.name}: {text!r} is a folder: zip the DICOM series, or convert it to NIfTI"
        raise InputError(msg)
    if not path.is_file():
        msg = f"{file.name}: {text!r} does not exist in {folder}: correct the path or drop the row"
        raise InputError(msg)
    return path


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: not JSON, or not an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = f"{file} is not valid JSON ({error})"
        raise InputError(msg) from error
    if not isinstance(content, dict):
        msg = f"{file} holds a JSON {type(content).__name__}, an object is needed"
        raise InputError(msg)
    return content


def label_values(labels: object, file: Path) -> dict[str, int]:
    """Name -> value from nnU-Net's {name: value} or Decathlon's {"value": name}; no background.

    Raises:
        InputError: a value that is not one integer (nnU-Net's regions), or used twice.
    """
    if not isinstance(labels, dict):
        msg = f"{file}: `labels` is {labels!r}, an object such as {{'liver': 1}} is needed"
        raise InputError(msg)
    values: dict[str, int] = {}
    for key, item in labels.items():
        turned = isinstance(item, str) and key.lstrip("-").isdigit()
        name, value = (item, int(key)) if turned else (key, item)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            msg = (
                f"{file}: label {name!r} has the value {value!r}: one integer >= 0 is needed; "
                "of region-based labels list the parts"
            )
            raise InputError(msg)
        if value in values.values():
            other = next(known for known, used in values.items() if used == value)
            msg = f"{file}: labels {other!r} and {name!r} share the value {value}"
            raise InputError(msg)
        values[str(name)] = value
    return {name: value for name, value in values.items() if value != 0}


def stated_labels(item: Mapping[str, Any], file: Path) -> tuple[str, ...] | None:
    """The labels that a case lists as `annotated`; None: it does not say.

    Raises:
        InputError: no list.
    """
    names = item.get("annotated")
    if names is None:
        return None
    if not isinstance(names, list):
        msg = f"{file}: `annotated` is {names!r}, a list of labels is needed"
        raise InputError(msg)
    return tuple(map(str, names))


def sorted_unique(entries: list[Entry], file: Path) -> tuple[Entry, ...]:
    """Entries by name.

    Raises:
        InputError: a name occurs twice.
    """
    entries = sorted(entries, key=lambda entry: entry.name)
    for one, other in itertools.pairwise(entries):
        if one.name == other.name:
            msg = (
                f"{file.name} lists case {one.name!r} twice: remove one, or tell them apart by "
                "giving each its own `case`"
            )
            raise InputError(msg)
    return tuple(entries)
