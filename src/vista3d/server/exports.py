"""A session as a file for other programs, through `vista3d.results`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vista3d import anatomy, results
from vista3d.errors import UsageError
from vista3d.inference.interactive import SessionObject
from vista3d.inference.interactive.labelled import class_labels
from vista3d.results.dicom_source import Maker
from vista3d.server.errors import ConflictError, NotFoundError
from vista3d.server.service import Service
from vista3d.server.view import View
from vista3d.volume import Volume, write_labels


@dataclass(frozen=True, eq=False)
class Content:
    """What is written.

    Attributes:
        labels: uint16 [i, j, k] of structure ids; where objects overlap, the one added last.
        structures: of the labels.
        volume: the scan.
        maker: whether a person had a hand in it.
        model: name of the network.
    """

    labels: np.ndarray
    structures: list[anatomy.Structure]
    volume: Volume
    maker: Maker
    model: str


@dataclass(frozen=True)
class Format:
    """How a file is written: the end of its name, its media type, by what, and from what."""

    suffix: str
    media: str
    write: Callable[[Path, Content], object]
    needs_dicom: bool = False


def _nifti(path: Path, content: Content) -> None:
    results.write_label_map(path, content.labels, content.volume, content.structures)


def _seg_nrrd(path: Path, content: Content) -> None:
    results.write_seg_nrrd(path, content.labels, content.volume, content.structures)


def _dicom_seg(path: Path, content: Content) -> None:
    results.write_dicom_seg(
        path, content.labels, content.volume, content.structures,
        maker=content.maker, model=content.model,
    )  # fmt: skip


def _rtstruct(path: Path, content: Content) -> None:
    results.write_rtstruct(
        path, content.labels, content.volume, content.structures,
        maker=content.maker, model=content.model,
    )  # fmt: skip


def _stl(path: Path, content: Content) -> None:
    results.write_stl_zip(path, content.labels, content.volume, content.structures)


FORMATS = {
    "nii": Format(".nii.gz", "application/gzip", _nifti),
    "seg.nrrd": Format(".seg.nrrd", "application/octet-stream", _seg_nrrd),
    "dicom-seg": Format("_seg.dcm", "application/dicom", _dicom_seg, needs_dicom=True),
    "rtstruct": Format("_rtstruct.dcm", "application/dicom", _rtstruct, needs_dicom=True),
    "stl": Format("_stl.zip", "application/zip", _stl),
}


def export(service: Service, session: str, name: str, folder: Path) -> tuple[Path, Format]:
    """Write a session in a format into a folder.

    Raises:
        UsageError: an unknown format.
        ConflictError: a DICOM format, and the study is not DICOM.
    """
    if name not in FORMATS:
        msg = f"unknown format {name[:40]!r}: one of {', '.join(FORMATS)}"
        raise UsageError(msg)
    chosen = FORMATS[name]
    with service.sessions.lease(session) as held:
        view, volume = held.view, held.session.volume
    if chosen.needs_dicom and volume.meta.series is None:
        msg = f"{name} refers to the images of a DICOM series, and the study is not one: take nii"
        raise ConflictError(msg)
    i, j, k = volume.array.shape
    labels, structures = class_labels(view.objects, (i, j, k))
    by_hand = any(thing.clicks or thing.class_id is None for thing in view.objects)
    maker: Maker = "semiautomatic" if by_hand else "automatic"
    path = folder / f"{session}{chosen.suffix}"
    chosen.write(path, Content(labels, structures, volume, maker, service.model.meta.name))
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
