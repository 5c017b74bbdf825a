"""nnU-Net raw data: `imagesTr/<case>_0000<ending>`, `labelsTr/<case><ending>`, `dataset.json`.

A scan whose label lies in `labelsTs` is a test case. `dataset.json` is nnU-Net's own, with two
optional additions: `cases`, a list of objects with the name in `case`, a `patient`, and the
`annotated` label names of a partially labelled scan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vista3d.errors import InputError
from vista3d.training.data.layouts.listing import (
    Entry,
    Listing,
    inside,
    label_values,
    sorted_unique,
    stated_labels,
)

_IMAGES = ("imagesTr", "imagesTs")
_LABELS = ("labelsTr", "labelsTs")


def read_nnunet(file: Path, content: dict[str, Any]) -> Listing:
    """A data set from its `dataset.json`.

    Raises:
        InputError: label values that are no integers, a listed case without any file.
    """
    folder, ending = file.parent, str(content.get("file_ending", ".nii.gz"))
    labels = label_values(content.get("labels", {}), file)
    listed = content.get("cases")
    if listed is None:
        listed = [{"case": name} for name in _names(folder, ending)]
    if not isinstance(listed, list):
        msg = f"{file}: `cases` is {listed!r}, a list such as [{{'case': 'name'}}] is needed"
        raise InputError(msg)
    entries = [_entry(folder, item, ending, file) for item in listed]
    # nnU-Net writes "licence", the Decathlon "licence" or "license".
    licence = str(content.get("licence") or content.get("license") or "")[:200]
    name = str(folder.resolve().name)
    return Listing(name, file, labels, sorted_unique(entries, file), licence)


def _names(folder: Path, ending: str) -> list[str]:
    """Case names from the files: every image, and every label map without an image."""
    images = {
        path.name[: -len(f"_0000{ending}")]
        for part in _IMAGES
        for path in (folder / part).glob(f"*_0000{ending}")
    }
    labels = {
        path.name[: -len(ending)] for part in _LABELS for path in (folder / part).glob(f"*{ending}")
    }
    return sorted(images | labels)


def _entry(folder: Path, item: Any, ending: str, file: Path) -> Entry:
    if not isinstance(item, dict) or not isinstance(item.get("case"), str):
        msg = f"{file}: {item!r} in `cases` has no `case`: write {{'case': 'name'}}"
        raise InputError(msg)
    name = item["case"]
    image = _first(folder, _IMAGES, f"{name}_0000{ending}", file)
    label = _first(folder, _LABELS, f"{name}{ending}", file)
    if image is None and label is None:
        msg = (
            f"{file}: case {name!r} has neither {_IMAGES[0]}/{name}_0000{ending} nor "
            f"{_LABELS[0]}/{name}{ending}: add the files or drop the case"
        )
        raise InputError(msg)
    return Entry(
        name=name,
        patient=str(item.get("patient", name)),
        image=image,
        label=label,
        annotated=stated_labels(item, file),
        split="test" if label is not None and label.parent.name == _LABELS[1] else None,
    )


def _first(folder: Path, parts: tuple[str, ...], name: str, file: Path) -> Path | None:
    """The first of the folders that has the file; None if none does."""
    paths = (inside(folder, f"{part}/{name}", file) for part in parts)
    return next((path for path in paths if path.is_file()), None)
