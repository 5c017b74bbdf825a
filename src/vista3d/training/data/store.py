"""Prepared cases on disk: computed once, read a crop at a time, never more than so many bytes.

    FOLDER/<key>/image.b2nd, labels.b2nd, supervoxels.b2nd    compressed chunks
                 locations.npy, index.json                    crop centres, what is where
    FOLDER/digests.txt                                        of the files they were made from

The key is a hash of the files' bytes, the mapping, the spacing and VERSION: a corrected label file
is another key. An entry is written into a hidden folder and renamed, so a killed process leaves no
half entry; the leftovers go after an hour. Stores beside each other in one folder may have a limit
together.

Any number of processes may share a store. There are no locks: two that prepare the same case
both do the work, and the second to finish throws its own away. Beyond the limit the entries that
were read longest ago go, also from under a process that still holds them: its next crop prepares
the case again. Nothing fails; a limit below the data set only costs time. A process looks at the
disk each time it has written 2% of the limit, and then leaves 95%: the limit holds for two
processes that write at once, and each more may exceed it by another 2% (16 of them were measured to
reach 122%).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from vista3d.errors import InputError
from vista3d.training.data.case import Case
from vista3d.training.data.chunks import Box, read_chunks, write_chunks
from vista3d.training.data.digests import Digests
from vista3d.training.data.prepared import Arrays, Prepared, class_locations, prepare_arrays

log = logging.getLogger(__name__)

Build = Callable[[Case, float], Arrays]

VERSION = 3
"""Raised whenever `prepare_arrays` gives other arrays for the same files."""

DEFAULT_BYTES = 50 * 10**9

_FILL = 0.95
"""Share of the limit that is filled: processes look at the disk only every so often."""

_LOOK = 0.02
"""Share of the limit that a process writes between two looks."""

_KEY = re.compile("[0-9a-f]{24}")
"""Of an entry's folder; nothing that is called otherwise is counted or removed."""

_HIDDEN = ".building-"
_STALE = 3600.0
"""Seconds after which a hidden folder belongs to a dead process: no case takes that long."""


class Store:
    """A bounded folder of prepared cases. Holds no open files; may be forked and pickled."""

    def __init__(
        self, folder: Path, max_bytes: int = DEFAULT_BYTES, whole: Path | None = None
    ) -> None:
        """Nothing is read or made yet.

        Args:
            folder: of this store.
            max_bytes: that it may hold.
            whole: folder of several stores that may hold so much together; None: this one alone.
        """
        self.folder, self.max_bytes, self.whole = folder, max_bytes, whole
        self._digests = Digests(folder / "digests.txt")
        self._written: float = float("inf")  # since the last look; never looked yet

    def __reduce__(self) -> tuple[type[Store], tuple[Path, int, Path | None]]:
        return Store, (self.folder, self.max_bytes, self.whole)

    def get(self, case: Case, spacing: float, build: Build = prepare_arrays) -> Prepared:
        """A case on a grid of `spacing` mm; computed where it is not stored.

        Args:
            case: what.
            spacing: isotropic voxel size, mm.
            build: computes the arrays; a function of a module, so that workers find it.

        Raises:
            InputError, GeometryError: the case's files cannot be used, or it alone is larger than
                the store.
        """
        entry = Entry(self, self.key(case, spacing), case, spacing, build)
        index = entry.index()
        shape = tuple(index["shape"])
        arrays = {name: StoredVoxels(entry, name, shape) for name in index["arrays"]}
        spans = {int(class_id): span for class_id, span in index["classes"].items()}
        return Prepared.of(
            case,
            arrays.get("image"),
            arrays["labels"],
            StoredLocations(entry, spans),
            arrays.get("supervoxels"),
        )

    def key(self, case: Case, spacing: float) -> str:
        """Names the content: the same for the same files, wherever they lie."""
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = {
            "version": VERSION,
            "spacing": spacing,
            "files": {
                role: None if path is None else self._digests.of(path)
                for role, path in (
                    ("image", case.image),
                    ("label", case.label),
                    ("pseudo", None if case.pseudo is None else case.pseudo.path),
                    ("supervoxels", case.supervoxels),
                )
            },
            "mapping": sorted(case.mapping.items()),
            "taught": [] if case.pseudo is None else sorted(case.pseudo.classes),
            "head": bool(case.source.head),
            **({"intensity": scale} if (scale := case.source.intensity) else {}),
        }
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]

    def put(self, key: str, case: Case, arrays: Arrays, spacing: float) -> None:
        """Write an entry, then make room."""
        partial = self.folder / f"{_HIDDEN}{key}-{secrets.token_hex(4)}"
        partial.mkdir()
        try:
            size = _write(partial, case, arrays, spacing)
            if size > _FILL * self.max_bytes:
                msg = (
                    f"{case.source.name} {case.name} takes {size / 1e6:.1f} MB prepared, the whole "
                    f"store may hold {self.max_bytes / 1e6:.1f} MB: allow more (--cache-gb)"
                )
                raise InputError(msg)
            self._written += size
            if self._written > _LOOK * self.max_bytes:
                self._make_room(size)
            try:
                partial.rename(self.folder / key)
            except OSError:
                if not (self.folder / key).is_dir():  # else another process was first
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        """Remove what was read longest ago until `size` bytes fit, and what the dead left."""
        entries, total = [], 0
        inside = self.folder.iterdir() if self.whole is None else self.whole.glob("*/*")
        for folder in inside:
            if folder.name.startswith(_HIDDEN):
                _remove_if_stale(folder)
            elif _KEY.fullmatch(folder.name):
                used, taken = _state(folder)
                entries.append((used, taken, folder))
                total += taken
        excess = total + size - _FILL * self.max_bytes
        for _, taken, folder in sorted(entries, key=lambda entry: entry[0]):
            if excess <= 0:
                break
            log.info("store full: %s goes", folder.name)
            _remove(folder)
            excess -= taken
        self._written = 0


@dataclass(frozen=True)
class Entry:
    """An entry of a store, and how to make it again."""

    store: Store
    key: str
    case: Case
    spacing: float
    build: Build

    @property
    def folder(self) -> Path:
        """Where it is, if it is there."""
        return self.store.folder / self.key

    def read(self, name: str, reader: Callable[[Path], Any]) -> Any:
        """Read one of its files; makes the entry where it is missing.

        Raises:
            InputError: the file is damaged, or the case cannot be prepared.
        """
        path = self.folder / name
        for _ in range(3):
            before = _identity(path)
            try:
                found = reader(path)
            except (OSError, RuntimeError, ValueError) as error:
                after = _identity(path)
                if after is not None and after == before:
                    msg = f"{path} is damaged ({error}): delete the folder {self.folder}"
                    raise InputError(msg) from error
                if after is None:
                    log.info("preparing %s %s", self.case.source.name, self.case.name)
                    arrays = self.build(self.case, self.spacing)
                    self.store.put(self.key, self.case, arrays, self.spacing)
                # else another process has just brought it in
            else:
                # Where it cannot be noted that it was read, it was read all the same.
                with contextlib.suppress(OSError):
                    os.utime(self.folder)
                return found
        msg = (
            f"{self.case.source.name} {self.case.name} was removed from {self.store.folder} three "
            f"times before it was read: allow the store more than {self.store.max_bytes} bytes "
            "(--cache-gb)"
        )
        raise InputError(msg)

    def index(self) -> dict[str, Any]:
        """What the entry holds."""
        content: dict[str, Any] = self.read("index.json", lambda path: json.loads(path.read_text()))
        return content


@dataclass(frozen=True)
class StoredVoxels:
    """A volume of an entry; reads what is asked for."""

    entry: Entry
    name: str
    shape: tuple[int, ...]

    def __getitem__(self, box: Box, /) -> np.ndarray:
        array: np.ndarray = self.entry.read(
            f"{self.name}.b2nd", lambda path: read_chunks(path, box)
        )
        return array


@dataclass(frozen=True)
class StoredLocations(Mapping[int, np.ndarray]):
    """Voxels per class, read when asked for: 11 000 scans' would fill the memory."""

    entry: Entry
    spans: Mapping[int, tuple[int, int]]

    def __getitem__(self, class_id: int) -> np.ndarray:
        start, stop = self.spans[class_id]
        voxels: np.ndarray = self.entry.read(
            "locations.npy", lambda path: np.array(np.load(path, mmap_mode="r")[start:stop])
        )
        return voxels

    def __iter__(self) -> Iterator[int]:
        return iter(self.spans)

    def __len__(self) -> int:
        return len(self.spans)


def prepare_all(
    store: Store, cases: list[Case], spacing: float, workers: int = 1
) -> list[Prepared]:
    """Every case of a run, in order, by several processes where there is much to prepare.

    Raises:
        InputError, GeometryError: as `Store.get`; the first case that fails ends it, and what was
            prepared stays.
    """
    if workers == 1:
        return [store.get(case, spacing) for case in cases]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        count = len(cases)
        return list(pool.map(store.get, cases, [spacing] * count, chunksize=4))


def _write(folder: Path, case: Case, arrays: Arrays, spacing: float) -> int:
    """Write an entry's files; returns their size."""
    volumes = {
        "image": arrays.image,
        "labels": arrays.labels,
        "supervoxels": arrays.supervoxels,
    }
    present = {name: array for name, array in volumes.items() if array is not None}
    for name, array in present.items():
        write_chunks(folder / f"{name}.b2nd", array)
    spans, voxels, start = {}, [np.empty((0, 3), np.int16)], 0
    for class_id, group in class_locations(arrays.labels).items():
        spans[class_id] = (start, start + len(group))
        voxels.append(group)
        start += len(group)
    np.save(folder / "locations.npy", np.concatenate(voxels))
    index = {
        "dataset": case.source.name,
        "case": case.name,
        "spacing": spacing,
        "shape": arrays.labels.shape,
        "arrays": list(present),
        "classes": spans,
    }
    (folder / "index.json").write_text(json.dumps(index))
    return sum(path.stat().st_size for path in folder.iterdir())


def _identity(path: Path) -> tuple[int, int] | None:
    """Of the file itself, whatever is called like it later; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns


def _state(folder: Path) -> tuple[float, int]:
    """When an entry was last read, and its size; zeros if it has just gone."""
    try:
        return folder.stat().st_mtime, sum(path.stat().st_size for path in folder.iterdir())
    except FileNotFoundError:
        return 0.0, 0


def _remove(folder: Path) -> None:
    """Out of sight at once, so that no reader finds half of it."""
    hidden = folder.with_name(f"{_HIDDEN}{folder.name}-{secrets.token_hex(4)}")
    try:
        folder.rename(hidden)
    except FileNotFoundError:
        return  # another process was first
    shutil.rmtree(hidden, ignore_errors=True)


def _remove_if_stale(folder: Path) -> None:
    try:
        stale = time.time() - folder.stat().st_mtime > _STALE
    except FileNotFoundError:
        return
    if stale:
        shutil.rmtree(folder, ignore_errors=True)
