"""Which study a client means by its own word for an image.

A word is looked up among the studies; no path and no address is ever made of it.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from vista3d.server.errors import ConflictError, NotFoundError
from vista3d.server.intake import display_name
from vista3d.server.service import Service
from vista3d.server.storage import StudyRow

_UID = re.compile(r"[0-9.]{3,64}")

_REMEMBERED = 4096


class Images:
    """The studies by id, by a client's own name, by name, or by SeriesInstanceUID.

    Args:
        service: of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._names: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._series: dict[str, str] = {}
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
            found = [row for row in rows if self._series_of(row) == word] or found
        if len(found) > 1:
            msg = f"{len(found)} studies are called {word[:80]!r}: ask by the id of one"
            raise ConflictError(msg)
        if not found:
            msg = f"there is no image {word[:80]!r} here: upload it, or list what there is"
            raise NotFoundError(msg)
        return found[0]

    def _series_of(self, row: StudyRow) -> str:
        """SeriesInstanceUID of a DICOM study, "" of any other; read once from one header."""
        if row.id not in self._series:
            self._series[row.id] = _series_uid(Path(row.path))
        return self._series[row.id]


def _series_uid(path: Path) -> str:
    import pydicom
    from pydicom.errors import InvalidDicomError

    for file in _files(path):
        try:
            data = pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"]
            )
        except (InvalidDicomError, OSError, EOFError, ValueError):
            continue
        return str(data.get("SeriesInstanceUID", ""))
    return ""


def _files(path: Path) -> Iterable[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
