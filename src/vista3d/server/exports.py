"""A session as a file for other programs, through `vista3d.results`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vista3d.errors import UsageError
from vista3d.inference.interactive import SessionObject
from vista3d.inference.interactive.labelled import class_labels, makers_of
from vista3d.results import FORMATS, Format, Labelled
from vista3d.server.errors import ConflictError, NotFoundError
from vista3d.server.service import Service
from vista3d.server.view import View
from vista3d.volume import Volume, write_labels

NAMES = {"nii": "nifti", **{name: name for name, format_ in FORMATS.items() if format_.media}}
"""What a client asks for -> the format; a folder cannot be sent."""


def export(service: Service, session: str, name: str, folder: Path) -> tuple[Path, Format]:
    """Write a session in a format into a folder.

    Raises:
        UsageError: an unknown format.
        ConflictError: a DICOM format, and the study is not DICOM.
    """
    if name not in NAMES:
        msg = f"unknown format {name[:40]!r}: one of {', '.join(NAMES)}"
        raise UsageError(msg)
    chosen = FORMATS[NAMES[name]]
    with service.sessions.lease(session) as held:
        view, volume = held.view, held.session.volume
    if chosen.of_dicom and volume.meta.series is None:
        msg = f"{name} refers to the images of a DICOM series, and the study is not one: take nii"
        raise ConflictError(msg)
    i, j, k = volume.array.shape
    labels, structures = class_labels(view.objects, (i, j, k))
    path = folder / f"{session}{chosen.ending}"
    model, makers = service.model.meta.name, makers_of(view.objects)
    chosen.write(path, Labelled(labels, volume, structures, model, makers))
    return path, chosen


def object_mask(view: View, object_id: int, volume: Volume, path: Path) -> None:
    """Write one object as uint8 0 and 1, exact where objects overlap.

    Raises:
        NotFoundError: no such object.
    """
    write_labels(path, find_object(view, object_id).mask.array().astype(np.uint8), volume)


def find_object(view: View, object_id: int) -> SessionObject:
    """Raises NotFoundError: no such object."""
    for thing in view.objects:
        if thing.id == object_id:
            return thing
    there = ", ".join(str(thing.id) for thing in view.objects) or "none yet"
    msg = f"there is no object {object_id}: the session has {there}"
    raise NotFoundError(msg)
