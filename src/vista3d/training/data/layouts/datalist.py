"""MONAI datalist JSON: `training` and `testing` lists of {"image", "label", ...} (facts: lists).

Read as the official lists are: fold 0 is validation, the other folds are training, `testing` is
test; without folds the hash of the patient decides between training and validation, and where
there is no `testing` either, between all three. `pseudo_label` counts unless
`pseudo_label_reliability` is 0, and `label_sv` holds supervoxels. Label names come from `labels`
(Decathlon: {"1": "liver"}) or `label_dict`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vista3d.errors import InputError
from vista3d.training.data.layouts.listing import (
    Entry,
    Listing,
    existing,
    label_values,
    sorted_unique,
    stated_labels,
)
from vista3d.training.data.splits import Split
from vista3d.volume.nifti import stem


def read_datalist(file: Path, content: dict[str, Any]) -> Listing:
    """A data set from a datalist.

    Raises:
        InputError: no list, an item without files, paths that are missing or leave the list's
            folder.
    """
    named = content.get("labels", content.get("label_dict", {}))
    entries = [_entry(file, item, _split(item)) for item in _items(content, "training", file)]
    entries += [_entry(file, item, "test") for item in _items(content, "testing", file)]
    name = file.parent.resolve().name if file.name == "dataset.json" else file.stem
    return Listing(name, file, label_values(named, file), sorted_unique(entries, file))


def _items(content: dict[str, Any], key: str, file: Path) -> list[Any]:
    items = content.get(key, [])
    if not isinstance(items, list):
        msg = f"{file}: `{key}` is {items!r}, a list of scans is needed"
        raise InputError(msg)
    return items


def _split(item: Any) -> Split | None:
    if not isinstance(item, dict) or "fold" not in item:
        return None
    return "validation" if item["fold"] == 0 else "train"


def _entry(file: Path, item: Any, split: Split | None) -> Entry:
    if isinstance(item, str):  # Decathlon's test lists are plain paths
        item = {"image": item}
    if not isinstance(item, dict) or not (item.get("image") or item.get("label")):
        msg = f"{file}: {item!r} has neither `image` nor `label`"
        raise InputError(msg)

    def path(key: str) -> Path | None:
        return existing(file.parent, str(item[key]), file) if item.get(key) else None

    image, label = path("image"), path("label")
    name = str(item.get("case", "")) or stem(image or label or file)
    annotated = stated_labels(item, file)
    believed = item.get("pseudo_label_reliability", 1) != 0
    return Entry(
        name=name,
        patient=str(item.get("patient", name)),
        image=image,
        label=label,
        annotated=annotated,
        split=split,
        pseudo=path("pseudo_label") if believed else None,
        supervoxels=path("label_sv"),
    )
