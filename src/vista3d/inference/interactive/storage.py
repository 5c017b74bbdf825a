"""A session as a file: a zip of one JSON document and the compressed bits of each mask.

No pickle, nothing that is executed. A file may come from anywhere: what it claims is checked
before memory is spent on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import numpy as np

from vista3d.errors import InputError
from vista3d.inference.interactive.clicks import Click
from vista3d.inference.interactive.history import STEPS, History, masks
from vista3d.inference.interactive.masks import Mask
from vista3d.inference.interactive.scene import Overlap, Scene, SessionObject
from vista3d.inference.windows import Triple
from vista3d.volume import Volume

FORMAT = "vista3d-session-1"

_JSON_LIMIT = 64 * 2**20
_MASK_LIMIT = 256 * 2**20
"""Bytes that one member may take: far above any real session, far below this machine's memory."""


def fingerprint(volume: Volume) -> str:
    """Hash of the scan's voxels; 1 GB/s."""
    array = np.ascontiguousarray(volume.array)
    digest = hashlib.blake2b(str((array.shape, array.dtype.str)).encode(), digest_size=16)
    digest.update(array.data)
    return digest.hexdigest()


def save(path: Path, volume: Volume, history: History, overlap: Overlap) -> None:
    """Write a session; an existing file is replaced only once the new one is complete."""
    numbers: dict[Mask, int] = {}
    scenes = [*history.past, history.present, *history.future]
    for mask in masks(scenes):
        numbers.setdefault(mask, len(numbers))
    content = {
        "format": FORMAT,
        "scan": {
            "name": volume.meta.name,
            "shape": list(volume.array.shape),
            "affine": volume.affine.tolist(),
            "fingerprint": fingerprint(volume),
        },
        "overlap": overlap,
        "masks": [{"low": mask.low, "size": mask.size} for mask in numbers],
        "past": [_scene_out(scene, numbers) for scene in history.past],
        "present": _scene_out(history.present, numbers),
        "future": [_scene_out(scene, numbers) for scene in history.future],
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as file:
            file.writestr("session.json", json.dumps(content), zipfile.ZIP_DEFLATED)
            for mask, number in numbers.items():
                file.writestr(f"masks/{number}.z", mask.data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path, volume: Volume) -> tuple[History, Overlap]:
    """Read a session of this scan.

    Raises:
        InputError: missing, damaged, of another program version, or of another scan.
    """
    try:
        with zipfile.ZipFile(path) as file:
            content = json.loads(_member(file, "session.json", _JSON_LIMIT))
            _check(content, path, volume)
            shape = _triple(content["scan"]["shape"])
            pool = [
                _mask(file, number, entry, shape) for number, entry in enumerate(content["masks"])
            ]
        history = History(_scene_in(content["present"], pool))
        history.past = [_scene_in(scene, pool) for scene in content["past"][-STEPS:]]
        history.future = [_scene_in(scene, pool) for scene in content["future"][-STEPS:]]
        overlap = content["overlap"]
        if overlap not in get_args(Overlap):
            raise ValueError(overlap)
        return history, overlap
    except FileNotFoundError as error:
        msg = f"there is no session file {path}"
        raise InputError(msg) from error
    except InputError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, IndexError,
            AttributeError, NotImplementedError, RecursionError) as error:  # fmt: skip
        msg = f"{path} is not a whole session file of vista3d ({error!r}): use a backup"
        raise InputError(msg) from error


def _check(content: Any, path: Path, volume: Volume) -> None:
    if content["format"] != FORMAT:
        msg = f"{path} was written by another version of vista3d ({content['format']!r}): update"
        raise InputError(msg)
    scan = content["scan"]
    same = (
        tuple(scan["shape"]) == volume.array.shape
        and np.allclose(np.array(scan["affine"], float), volume.affine, atol=1e-4)
        and scan["fingerprint"] == fingerprint(volume)
    )
    if not same:
        msg = f"{path} is a session of another scan ({scan['name']!r}, {scan['shape']} voxels)"
        raise InputError(msg)


def _member(file: zipfile.ZipFile, name: str, limit: int) -> bytes:
    if file.getinfo(name).file_size > limit:
        msg = f"{name} in the session file claims more than {limit >> 20} MiB: refused"
        raise InputError(msg)
    with file.open(name) as member:
        return member.read(limit)


def _mask(file: zipfile.ZipFile, number: int, entry: Any, shape: Triple) -> Mask:
    low, size = _triple(entry["low"]), _triple(entry["size"])
    if any(a < 0 or n < 0 or a + n > s for a, n, s in zip(low, size, shape, strict=True)):
        msg = f"mask {number} of the session file lies outside its scan: use a backup"
        raise InputError(msg)
    mask = Mask(shape, low, size, _member(file, f"masks/{number}.z", _MASK_LIMIT))
    mask.crop()  # damaged bits are found now, not at the first edit
    return mask


def _triple(values: Any) -> Triple:
    i, j, k = (int(x) for x in values)
    return i, j, k


def _scene_out(scene: Scene, numbers: dict[Mask, int]) -> dict[str, Any]:
    objects = [
        {
            "id": thing.id,
            "name": thing.name,
            "class_id": thing.class_id,
            "novel": thing.novel,
            "locked": thing.locked,
            "clicks": [[*click.position, click.positive] for click in thing.clicks],
            "base": numbers[thing.base],
            "mask": numbers[thing.mask],
        }
        for thing in scene
    ]
    return {"objects": objects, "active": scene.active, "next_id": scene.next_id}


def _scene_in(values: dict[str, Any], pool: list[Mask]) -> Scene:
    objects = {}
    for entry in values["objects"]:
        clicks = tuple(
            Click((float(i), float(j), float(k)), bool(side)) for i, j, k, side in entry["clicks"]
        )
        class_id = entry["class_id"]
        objects[int(entry["id"])] = SessionObject(
            id=int(entry["id"]),
            name=str(entry["name"]),
            class_id=None if class_id is None else int(class_id),
            novel=bool(entry["novel"]),
            base=pool[entry["base"]],
            mask=pool[entry["mask"]],
            clicks=clicks,
            locked=bool(entry["locked"]),
        )
    active = values["active"]
    if active is not None and active not in objects:
        raise ValueError(active)
    return Scene(MappingProxyType(objects), active, int(values["next_id"]))
