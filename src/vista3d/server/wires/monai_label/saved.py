"""Labels that clients save: sessions of the server, so that work goes on in the annotator.

A label is found by image and tag; which session that is stands in one JSON file of the server's
private folder. Saving again changes the same session, where it can be undone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vista3d.errors import UsageError
from vista3d.inference import InteractiveSession
from vista3d.inference.interactive.labelled import painted
from vista3d.inference.interactive.masks import values_of
from vista3d.server.errors import NotFoundError, TooLargeError
from vista3d.server.service import Service
from vista3d.server.storage import durable_replace
from vista3d.server.view import View
from vista3d.server.wires.working import forget
from vista3d.volume import Volume

_MOST_TAGS = 32


@dataclass(frozen=True)
class Saved:
    """A label: its session, and object id -> the value that its client gave it."""

    session: str
    values: Mapping[str, int]


class SavedLabels:
    """The labels of a server.

    Args:
        service: of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._path = service.storage.root / "monai_label.json"
        self._lock = threading.Lock()
        self._table = _read(self._path)

    def tags(self, study: str) -> dict[str, Saved]:
        """Labels of a study by tag; those whose session was deleted are gone."""
        found = self._table.get(study, {})
        there = {row.id for row in self._service.storage.sessions(study)} if found else set()
        return {tag: saved for tag, saved in found.items() if saved.session in there}

    def find(self, study: str, tag: str) -> Saved:
        """Raises NotFoundError: no such label."""
        saved = self.tags(study).get(tag)
        if saved is None:
            msg = f"image {study} has no label {tag[:40]!r}"
            raise NotFoundError(msg)
        return saved

    def save(self, study: str, tag: str, labels: np.ndarray, names: Mapping[int, str]) -> Saved:
        """Keep a label map.

        Args:
            study: of the server.
            tag: such as "final".
            labels: integers [i, j, k] on the study's grid.
            names: of its values; those without one are called by their number.

        Raises:
            UsageError: more tags than are kept, or an object of the session is locked.
            TooLargeError: more values than a session has objects.
        """
        values = values_of(labels)
        if len(values) > self._service.limits.objects:
            msg = f"{len(values)} labels, a session has at most {self._service.limits.objects}"
            raise TooLargeError(msg)
        with self._lock:
            tags = self.tags(study)
            if tag not in tags and len(tags) >= _MOST_TAGS:
                msg = f"image {study} has labels under {len(tags)} tags already: delete some"
                raise UsageError(msg)
            session = tags[tag].session if tag in tags else self._service.sessions.create(study)
            ids: dict[str, int] = {}

            def work(opened: InteractiveSession) -> None:
                if opened.objects:
                    opened.reset()
                made = opened.add_labels(labels, names)
                ids.update((str(number), value) for value, number in made.items())

            self._service.edit(session, work)
            saved = Saved(session, ids)
            self._table[study] = {**tags, tag: saved}
            self._write()
        return saved

    def remove(self, study: str, tag: str) -> None:
        """Delete a label and its session."""
        with self._lock:
            session = self.find(study, tag).session
            self._table[study] = {k: v for k, v in self._table[study].items() if k != tag}
            self._write()
        forget(self._service, session)

    def label_map(self, saved: Saved) -> tuple[np.ndarray, dict[int, str], Volume]:
        """A label as it is now: values [i, j, k] uint16, their names, and the scan.

        Objects that were added since, in the annotator, have the next free values.
        """
        view, volume = self._open(saved)
        values = self._values(saved, view)
        labels = painted(view.objects, values, volume.geometry.shape)
        return labels, _names(view, values), volume

    def names(self, saved: Saved) -> dict[int, str]:
        """Names of the values of `label_map`."""
        view, _ = self._open(saved)
        return _names(view, self._values(saved, view))

    def _open(self, saved: Saved) -> tuple[View, Volume]:
        with self._service.sessions.lease(saved.session) as held:
            return held.view, held.session.volume

    @staticmethod
    def _values(saved: Saved, view: View) -> dict[int, int]:
        known = {int(key): value for key, value in saved.values.items()}
        free = max(known.values(), default=0) + 1
        new = [thing.id for thing in view.objects if thing.id not in known]
        return {**known, **{key: free + n for n, key in enumerate(new)}}

    def _write(self) -> None:
        table = {
            study: {tag: asdict(saved) for tag, saved in tags.items()}
            for study, tags in self._table.items()
            if tags
        }
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps(table), encoding="utf-8")
        durable_replace(partial, self._path)


def _names(view: View, values: Mapping[int, int]) -> dict[int, str]:
    return {values[thing.id]: thing.name for thing in view.objects}


def _read(path: Path) -> dict[str, dict[str, Saved]]:
    if not path.is_file():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))
    return {
        study: {tag: Saved(one["session"], one["values"]) for tag, one in tags.items()}
        for study, tags in table.items()
    }
