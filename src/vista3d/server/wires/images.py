"""Which study a client means by its own word for an image.

A word is looked up among the studies; no path and no address is ever made of it.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

from vista3d.server.errors import ConflictError, NotFoundError
from vista3d.server.intake import display_name
from vista3d.server.scan_state import scan_state
from vista3d.server.service import Service
from vista3d.server.storage import StudyRow

_UID = re.compile(r"[0-9.]{3,64}")

_SERIES = "SeriesInstanceUID"

_REMEMBERED = 4096


class Images:
    """The studies by id, by a client's own name, by name, or by SeriesInstanceUID.

    Args:
        service: of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._names: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._uids: OrderedDict[tuple[str, str], Mapping[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, client: str, word: str, study: str) -> None:
        """From now on this client means this study by its word; another client need not."""
        with self._lock:
            self._names[client, word] = study
            while len(self._names) > _REMEMBERED:
                self._names.popitem(last=False)

    def find(self, word: str, client: str = "") -> StudyRow:
        """The study that is meant.

        Args:
            word: what the client calls it.
            client: what the client calls itself, where its protocol says it.

        Raises:
            NotFoundError: none.
            ConflictError: several of this name.
        """
        if not word:
            msg = "no image is named: send image=ID, as /api/v1/studies lists them"
            raise NotFoundError(msg)
        with contextlib.suppress(NotFoundError):
            return self._service.studies.find(self._names.get((client, word), word))
        rows = self._service.studies.list()
        name = display_name(word)
        found = [row for row in rows if row.name == name]
        if _UID.fullmatch(word):
            found = [row for row in rows if self.uids(row).get(_SERIES) == word] or found
        if len(found) > 1:
            msg = f"{len(found)} studies are called {word[:80]!r}: ask by the id of one"
            raise ConflictError(msg)
        if not found:
            msg = f"there is no image {word[:80]!r} here: upload it, or list what there is"
            raise NotFoundError(msg)
        return found[0]

    def uids(self, row: StudyRow) -> Mapping[str, str]:
        """Study- and SeriesInstanceUID of a DICOM study as it is now; read once from one header."""
        path = Path(row.path)
        key = (row.id, scan_state(path))
        with self._lock:
            known = self._uids.get(key)
        if known is not None:
            return known
        read = _read_uids(path)
        with self._lock:
            self._uids[key] = read
            while len(self._uids) > _REMEMBERED:
                self._uids.popitem(last=False)
        return read


def _read_uids(path: Path) -> Mapping[str, str]:
    import pydicom
    from pydicom.errors import InvalidDicomError

    wanted = ["StudyInstanceUID", _SERIES]
    for file in _files(path):
        try:
            data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=wanted)
        except (InvalidDicomError, OSError, EOFError, ValueError):
            continue
        return {name: str(data[name].value) for name in wanted if name in data}
    return {}


def _files(path: Path) -> Iterable[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
