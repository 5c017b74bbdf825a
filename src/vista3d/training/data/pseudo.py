"""Pseudo-labels on disk: written scan by scan by a teacher, attached to cases for training.

OUTPUT/<data set>/<case>.nii.gz     global class ids on the scan's grid
                  <case>.json       teacher, its identity, classes, verdict and reasons
                  <case>.second.nii.gz   of the second teacher, where there was one
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vista3d import anatomy
from vista3d import volume as vol
from vista3d.errors import GeometryError, InputError, Vista3DError
from vista3d.training.data.case import Case, PseudoLabel
from vista3d.training.data.layouts.listing import read_json
from vista3d.training.data.reliability import Reliability, assess
from vista3d.training.data.teachers import Lesson, Teacher
from vista3d.volume.writers import atomic_path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one scan: "reliable", "doubted", "skipped" (was done before) or "failed"."""

    case: Case
    state: str
    reasons: tuple[str, ...] = ()


def label_cases(
    cases: list[Case], output: Path, first: Teacher, second: Teacher | None = None
) -> Iterator[Outcome]:
    """Have every scan labelled and judged; scans that were done before are skipped.

    A scan that fails is reported and the next one goes on. UsageError and WeightsError, which every
    scan would meet, are raised.
    """
    for case in cases:
        if case.image is None:
            continue
        path = output / case.source.name / f"{case.name}.nii.gz"
        stamp = {
            "teacher": first.name,
            "identity": first.identity,
            "second": None if second is None else second.name,
            "second_identity": None if second is None else second.identity,
            "image": hashlib.sha256(case.image.read_bytes()).hexdigest(),
        }
        if _done(path, stamp):
            yield Outcome(case, "skipped")
            continue
        try:
            verdict = _label(case.image, path, stamp, first, second)
        except Vista3DError as error:
            if error.exit_code != 4:  # not this scan's fault
                raise
            yield Outcome(case, "failed", (str(error),))
            continue
        yield Outcome(case, "doubted" if verdict.reasons else "reliable", verdict.reasons)


def attach(cases: list[Case], folder: Path) -> list[Case]:
    """Cases with the reliable pseudo-labels of `label_cases` for what nobody annotated.

    Raises:
        InputError: a damaged JSON file.
    """
    found = []
    for case in cases:
        path = folder / case.source.name / f"{case.name}.nii.gz"
        about = _about(path)
        if not about.is_file() or not path.is_file():
            found.append(case)
            continue
        classes = _believed(about) - case.judged
        found.append(replace(case, pseudo=PseudoLabel(path, classes) if classes else None))
    return found


def _believed(about: Path) -> frozenset[int]:
    """Classes that a teacher may be believed in one scan; none where the whole is doubted."""
    content = read_json(about)
    reliable, trusted = content.get("reliable"), content.get("trusted")
    if isinstance(reliable, bool) and isinstance(trusted, list):
        classes = frozenset(class_id for class_id in trusted if type(class_id) is int)
        if len(classes) == len(trusted):
            return classes if reliable else frozenset()
    msg = (
        f"{about} does not say `reliable` (true or false) and `trusted` (a list of class ids): "
        "delete it, and run `vista3d data label` again"
    )
    raise InputError(msg)


def _about(path: Path) -> Path:
    return path.with_name(path.name.replace(".nii.gz", ".json"))


def _done(path: Path, stamp: dict[str, str | None]) -> bool:
    about = _about(path)
    if not (path.is_file() and about.is_file()):
        return False
    content = read_json(about)
    return all(content.get(key) == value for key, value in stamp.items())


def _label(
    image: Path, path: Path, stamp: dict[str, str | None], first: Teacher, second: Teacher | None
) -> Reliability:
    scan = vol.check_image(vol.read(image))
    lesson = _checked(first.label(image), scan)
    other = None if second is None else _checked(second.label(image), scan)
    verdict = assess(
        lesson.labels,
        scan.geometry.spacing,
        lesson.classes,
        None if other is None else (other.labels, other.classes),
    )
    vol.write_labels(path, lesson.labels.astype(np.int16), scan)
    if other is not None:
        beside = path.with_name(path.name.replace(".nii.gz", ".second.nii.gz"))
        vol.write_labels(beside, other.labels.astype(np.int16), scan)
    content = {
        **stamp,
        "version": lesson.version,
        "second_version": None if other is None else other.version,
        "classes": {str(i): anatomy.by_id(i).name for i in sorted(lesson.classes)},
        **verdict.as_json(),
    }
    # The JSON goes last: it says that the label map is whole.
    with atomic_path(_about(path)) as temporary:
        temporary.write_text(json.dumps(content, indent=1))
    return verdict


def _checked(lesson: Lesson, scan: vol.Volume) -> Lesson:
    if lesson.labels.shape != scan.array.shape[:3]:
        msg = (
            f"{lesson.teacher} returned labels of shape {lesson.labels.shape} for a scan of "
            f"{scan.array.shape}: it cannot be used for this scan"
        )
        raise GeometryError(msg)
    return lesson
