"""A session as a file: a zip of one JSON document and the compressed bits of each mask.

No pickle, nothing that is executed. A file may come from anywhere: what it claims is checked
before memory is spent on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args
from weakref import WeakKeyDictionary

import numpy as np

from vista3d.errors import InputError, UsageError
from vista3d.inference.interactive.clicks import Click
from vista3d.inference.interactive.erasures import Erasure, Erasures
from vista3d.inference.interactive.history import STEPS, History, masks
from vista3d.inference.interactive.labelled import FIRST_NEW
from vista3d.inference.interactive.masks import Mask
from vista3d.inference.interactive.scene import (
    Colour,
    Overlap,
    Scene,
    SessionObject,
    is_colour,
)
from vista3d.inference.windows import Triple
from vista3d.volume import Volume, bounding_box

FORMAT = "vista3d-session-1"

_JSON_LIMIT = 64 * 2**20
_MASK_LIMIT = 256 * 2**20
"""Bytes that one member may take: far above any real session, far below this machine's memory."""


_LAST_ID = 2**16 - 1
"""Objects are values of a uint16 label map."""


_known: WeakKeyDictionary[Volume, str] = WeakKeyDictionary()


def fingerprint(volume: Volume) -> str:
    """Hash of the scan's values, whatever type and order they are held in; 2 s per GB, once."""
    if volume not in _known:
        _known[volume] = _hash(volume)
    return _known[volume]


def _hash(volume: Volume) -> str:
    digest = hashlib.blake2b(str(volume.array.shape).encode(), digest_size=16)
    for plane in volume.array:
        digest.update(np.ascontiguousarray(plane, np.float32).data)
    return digest.hexdigest()


def save(path: Path, volume: Volume, history: History, overlap: Overlap) -> None:
    """Write a session; an existing file is replaced only once the new one is complete."""
    present = [history.present]
    document, numbers = _document(volume, history.past, present, history.future, overlap)
    if len(document) > _JSON_LIMIT:
        document, numbers = _document(volume, [], present, [], overlap)
    if len(document) > _JSON_LIMIT:
        msg = "the session has too many objects and clicks for one file: remove some"
        raise UsageError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as file:
            file.writestr("session.json", document, zipfile.ZIP_DEFLATED)
            for mask, number in numbers.items():
                file.writestr(f"masks/{number}.z", mask.data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _document(
    volume: Volume, past: list[Scene], present: list[Scene], future: list[Scene], overlap: Overlap
) -> tuple[bytes, dict[Mask, int]]:
    """The JSON, in which each object and each mask stands once; and the number of each mask."""
    numbers: dict[Mask, int] = {}
    for mask in masks([*past, *present, *future]):
        numbers.setdefault(mask, len(numbers))
    objects: dict[SessionObject, int] = {}

    def scenes(group: list[Scene]) -> list[dict[str, Any]]:
        return [
            {
                "objects": [objects.setdefault(thing, len(objects)) for thing in scene],
                "active": scene.active,
                "next_id": scene.next_id,
            }
            for scene in group
        ]

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
        "past": scenes(past),
        "present": scenes(present),
        "future": scenes(future),
    }
    content["objects"] = [_object_out(thing, numbers) for thing in objects]
    return json.dumps(content).encode(), numbers


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
            things = [_object_in(entry, pool, shape) for entry in content["objects"]]
        (present,) = content["present"]
        history = History(_scene_in(present, things))
        history.past = [_scene_in(scene, things) for scene in content["past"][-STEPS:]]
        history.future = [_scene_in(scene, things) for scene in content["future"][-STEPS:]]
        overlap = content["overlap"]
        if overlap not in get_args(Overlap):
            raise ValueError(overlap)
        return history, overlap
    except FileNotFoundError as error:
        msg = f"there is no session file {path}"
        raise InputError(msg) from error
    except zipfile.BadZipFile as error:
        msg = f"{path} is not a whole session file of vista3d (another file, or cut off): "
        msg += "use a backup"
        raise InputError(msg) from error
    except InputError:
        raise
    except (zlib.error, EOFError, OSError, ValueError, KeyError, TypeError,
            IndexError, AttributeError, ArithmeticError, RuntimeError) as error:  # fmt: skip
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
        msg = f"{name} in the session file claims more than {limit} bytes: refused"
        raise InputError(msg)
    with file.open(name) as member:
        return member.read(limit)


def _mask(file: zipfile.ZipFile, number: int, entry: Any, shape: Triple) -> Mask:
    low, size = _triple(entry["low"]), _triple(entry["size"])
    if any(a < 0 or n < 0 or a + n > s for a, n, s in zip(low, size, shape, strict=True)):
        msg = f"mask {number} of the session file lies outside its scan: use a backup"
        raise InputError(msg)
    bits = (int(np.prod(size)) + 7) // 8
    # Deflate never grows data by more than this.
    data = _member(file, f"masks/{number}.z", min(_MASK_LIMIT, bits + bits // 500 + 64))
    mask = Mask(shape, low, size, data)
    if not bits and (data or low != (0, 0, 0) or size != (0, 0, 0)):
        raise ValueError(number)
    # Damaged bits are found now, not at the first edit; masks are equal only if they are tight.
    if bits and bounding_box(mask.crop()) != tuple(slice(0, n) for n in size):
        raise ValueError(number)
    return mask


def _triple(values: Any) -> Triple:
    i, j, k = (int(x) for x in values)
    return i, j, k


def _object_out(thing: SessionObject, numbers: dict[Mask, int]) -> dict[str, Any]:
    return {
        "id": thing.id,
        "name": thing.name,
        "class_id": thing.class_id,
        "novel": thing.novel,
        "locked": thing.locked,
        "colour": thing.colour,
        "clicks": [[*click.position, click.positive] for click in thing.clicks],
        "settled": thing.settled,
        "automatic": thing.automatic,
        "computed": thing.computed,
        "start": numbers[thing.start],
        "base": numbers[thing.base],
        "mask": numbers[thing.mask],
        "erased": [[numbers[erasure.mask], erasure.clicks] for erasure in thing.erasures],
    }


def _object_in(entry: dict[str, Any], pool: list[Mask], shape: Triple) -> SessionObject:
    class_id = entry["class_id"]
    clicks = tuple(_click_in(values, shape) for values in entry["clicks"])
    numbers = [int(entry[role]) for role in ("start", "base", "mask")]
    settled, object_id = int(entry["settled"]), int(entry["id"])
    fine = (
        min(numbers) >= 0
        and 0 <= settled <= len(clicks)
        and 1 <= object_id <= _LAST_ID
        and (class_id is None or 1 <= class_id < FIRST_NEW)
    )
    if not fine:
        raise ValueError(entry)
    start, base, mask = (pool[number] for number in numbers)
    return SessionObject(
        id=object_id,
        name=str(entry["name"]),
        class_id=class_id,
        novel=bool(entry["novel"]),
        start=start,
        base=base,
        mask=mask,
        erasures=_erasures_in(entry, pool, len(clicks)),
        clicks=clicks,
        settled=settled,
        locked=bool(entry["locked"]),
        # Files of earlier versions have none of these.
        colour=_colour_in(entry.get("colour")),
        automatic=bool(entry.get("automatic", False)),
        computed=bool(entry.get("computed", entry.get("automatic", False))),
    )


def _erasures_in(entry: dict[str, Any], pool: list[Mask], clicks: int) -> Erasures:
    if "erased" in entry:
        pairs = [(int(number), int(count)) for number, count in entry["erased"]]
    else:  # files of earlier versions say what their clicks have left of it
        number = int(entry["denied"])
        pairs = [(number, clicks)] if pool[number] else []
    counts = [count for _, count in pairs]
    fine = (
        counts == sorted(set(counts))
        and all(0 <= count <= clicks for count in counts)
        and all(number >= 0 and pool[number] for number, _ in pairs)
    )
    if not fine:
        raise ValueError(entry)
    return tuple(Erasure(pool[number], count) for number, count in pairs)


def _colour_in(values: Any) -> Colour | None:
    if values is None:
        return None
    colour = tuple(values)
    if not is_colour(colour):
        raise ValueError(values)
    return colour


def _click_in(values: Any, shape: Triple) -> Click:
    i, j, k, positive = values
    position = (float(i), float(j), float(k))
    if not all(-0.5 <= x <= n - 0.5 for x, n in zip(position, shape, strict=True)):
        raise ValueError(values)
    return Click(position, bool(positive))


def _scene_in(values: dict[str, Any], things: list[SessionObject]) -> Scene:
    numbers = [int(number) for number in values["objects"]]
    objects = {things[number].id: things[number] for number in numbers}
    active, next_id = values["active"], int(values["next_id"])
    fine = (
        len(objects) == len(numbers)
        and min(numbers, default=0) >= 0
        and (active is None or active in objects)
        and next_id > max(objects, default=0)
    )
    if not fine:
        raise ValueError(values)
    return Scene(MappingProxyType(objects), active, next_id)
