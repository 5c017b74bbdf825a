"""Scans: taken in, listed, read when needed, shown."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from vista3d.server.errors import ConflictError
from vista3d.server.intake import place
from vista3d.server.scan_state import scan_state
from vista3d.server.settings import Limits
from vista3d.server.storage import Storage, StudyRow, new_id, now
from vista3d.server.upload import Received
from vista3d.volume import Volume, check_ct, read

Scans = Callable[[], Iterable[tuple[str, Path]]]
"""Name and path of each scan in the folder that the server was started with, as it is now."""


class Studies:
    """The scans of a server.

    Args:
        storage: where uploads and the index are.
        scans: of the --data folder.
        limits: of the server.
    """

    def __init__(self, storage: Storage, scans: Scans, limits: Limits) -> None:
        self._storage, self._scans, self._limits = storage, scans, limits
        self._open: WeakValueDictionary[tuple[str, str], Volume] = WeakValueDictionary()
        self._reading = threading.Lock()
        self._drawing = threading.Lock()

    def list(self) -> list[StudyRow]:
        """Uploads, and the scans of the folder that are there now."""
        here = self._folder()
        rows = {row.id: row for row in self._storage.studies()}
        for key, (name, path) in here.items():
            if key not in rows:
                rows[key] = StudyRow(key, name, "folder", str(path), now())
                self._storage.add_study(rows[key])
        return [row for row in rows.values() if row.source == "upload" or row.id in here]

    def find(self, study: str) -> StudyRow:
        """Raises NotFoundError: no such study."""
        return self._storage.study(study)

    def add(self, received: Sequence[Received]) -> StudyRow:
        """Take in the files of one study.

        Args:
            received: in a private folder on the disk of the storage; they are moved.

        Raises:
            FormatError, TooLargeError, InputError, GeometryError: it is not kept.
        """
        study = new_id()
        folder = self._storage.study_folder(study)
        folder.mkdir(mode=0o700)
        try:
            name, path = place(received, folder, self._limits)
            row = StudyRow(study, name, "upload", str(path), now())
            volume = self._read(row)
            row = self._known(row, volume)
            self._storage.add_study(row)
        except BaseException:
            self._storage.remove_study(study)
            raise
        return row

    def open(self, study: str) -> Volume:
        """The scan as it is now, read at most once for all who hold it.

        Raises:
            NotFoundError: no such study.
            InputError, GeometryError: it cannot be segmented.
            ConflictError: a folder study whose file is gone.
        """
        row = self.find(study)
        volume = self._read(row)
        known = self._known(row, volume)
        if known != row:
            self._storage.add_study(known)
        return volume

    def image(self, study: str) -> Path:
        """The scan as int16 .nii.gz on its own grid, for viewers; made once per state of the scan.

        Values beyond int16 are clipped: no Hounsfield unit is.
        """
        path = self._storage.study_folder(study) / "image.nii.gz"
        with self._drawing:
            source = Path(self.find(study).path)
            made = path.stat().st_mtime if path.is_file() else 0.0
            if made == 0 or (source.exists() and source.stat().st_mtime > made):
                volume = self.open(study)
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _write_image(path, volume)
        return path

    def remove(self, study: str) -> None:
        """Delete an upload.

        Raises:
            ConflictError: it has sessions, or lies in the --data folder.
        """
        row = self.find(study)
        if row.source == "folder":
            msg = "the study lies in the server's --data folder, which it never changes"
            raise ConflictError(msg)
        self._storage.remove_study(study)

    def _read(self, row: StudyRow) -> Volume:
        with self._reading:  # one at a time: reading is the peak of memory
            path = Path(row.path)
            if not path.exists():
                msg = f"the file of study {row.id} is not there any more: put it back"
                raise ConflictError(msg)
            key = (row.id, scan_state(path))
            volume = self._open.get(key)
            if volume is None:
                volume = check_ct(read(path))
                # The id stands for the name: what a client called it stays out of files and logs.
                volume = replace(volume, meta=replace(volume.meta, name=row.id))
                self._open[key] = volume
            return volume

    @staticmethod
    def _known(row: StudyRow, volume: Volume) -> StudyRow:
        geometry = volume.geometry
        return replace(
            row, format=volume.meta.format, shape=geometry.shape,
            affine=geometry.affine.tolist(), warnings=volume.meta.warnings,
        )  # fmt: skip

    def _folder(self) -> dict[str, tuple[str, Path]]:
        """Id, name and path of the scans in the folder; a path has the same id in every run."""
        found = {}
        for name, path in self._scans():
            digest = hashlib.blake2b(os.fsencode(path.resolve()), digest_size=16)
            found[digest.hexdigest()] = (name, path)
        return found


def _write_image(path: Path, volume: Volume) -> None:
    import nibabel as nib

    array = volume.array
    if array.dtype != np.int16:
        limits = np.iinfo(np.int16)
        array = np.clip(np.rint(array), limits.min, limits.max).astype(np.int16)
    image = nib.Nifti1Image(array, volume.affine)
    image.set_sform(volume.affine, code=1)
    image.set_qform(volume.affine, code=1, strip_shears=True)
    image.header.set_xyzt_units("mm")
    partial = path.with_name(".image.part.nii.gz")
    nib.save(image, partial)
    partial.replace(path)
