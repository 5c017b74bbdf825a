"""One binary NIfTI per class in a folder: `left_kidney.nii.gz`, voxels 0 or 1."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vista3d.anatomy import described
from vista3d.results.json_file import write_json
from vista3d.results.label_map import label_document
from vista3d.volume import write_labels

if TYPE_CHECKING:
    from vista3d.anatomy import Structure
    from vista3d.volume import Volume

INDEX = "labels.json"
"""Lists the masks of the last run; a later run removes exactly those before it lists its own."""


def write_per_class(
    folder: Path, labels: NDArray[np.integer], volume: Volume, ids: Iterable[int | Structure]
) -> list[Path]:
    """Write a mask for every class asked for, an empty one where the class was not found.

    Each file is atomic. Masks of an earlier run into the same folder that this run does not
    renew are removed, other files are left alone. One mask at a time is in memory.

    Args:
        folder: created when missing.
        labels: global class ids (i, j, k) on the grid of `volume`.
        volume: the scan; its header and affine are kept bit-exact.
        ids: the classes that were asked for.

    Returns:
        The paths of the masks, in the order of `ids`.
    """
    folder = Path(folder)
    listed = described(ids)
    masks = [folder / f"{name}.nii.gz" for name in plain_names(listed.values())]
    stale = _listed_before(folder) - {path.name for path in masks}
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in zip(listed, masks, strict=True):
        mask = (labels == number).view(np.uint8)
        write_labels(path, mask, volume, extension=None)
    for name in stale:
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
    document = label_document(".", listed.values())
    for entry, path in zip(document["labels"], masks, strict=True):
        entry["file"] = path.name
    write_json(folder / INDEX, document)
    return masks


def plain_names(structures: Iterable[Structure]) -> list[str]:
    """What their files are called: lower case, spaces and signs as underscores, `left_kidney`.

    The id goes in front where a name is taken or has no plain letter.
    """
    names: dict[str, None] = {}
    for structure in structures:
        name = re.sub(r"[^a-z0-9]+", "_", structure.name.lower()).strip("_")
        if not name or name in names:
            name = f"{structure.id}_{name}".rstrip("_")
        names[name] = None
    return list(names)


def _listed_before(folder: Path) -> set[str]:
    try:
        document = json.loads((folder / INDEX).read_text())
        names = {str(entry["file"]) for entry in document["labels"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    # Only plain mask names: an index edited by hand must not reach outside its folder.
    return {name for name in names if re.fullmatch(r"[a-z0-9_]+\.nii\.gz", name)}
