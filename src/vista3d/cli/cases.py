"""Which scans a command line names: files, patterns, folders of images, DICOM folders, zips."""

from __future__ import annotations

import functools
import glob
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vista3d.errors import InputError, UsageError
from vista3d.volume.dicom_file import is_dicom
from vista3d.volume.nifti import case_name

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip")
OWN_ENDINGS = ("_seg.nii", "_seg.nii.gz", ".seg.nrrd", "_supervoxels.nii.gz")
"""Outputs of these commands (and of Slicer): in a folder they are results, not scans."""


@dataclass(frozen=True)
class Case:
    """One scan to segment: its name, used in the names of its outputs, and where it is."""

    name: str
    path: Path


def find_cases(inputs: Sequence[str]) -> list[Case]:
    """Resolve the inputs to cases, in the order given, without repeats.

    A file is one case, and so is a folder of DICOM slices. A folder of images is a case per image;
    a folder without images is a case per subfolder with DICOM slices. DICOM slices beside images
    are left out with a warning: they may well be results. Patterns that the shell did not expand
    are expanded here.

    Raises:
        InputError: something named does not exist, or holds no scan.
        UsageError: two scans cannot be told apart by name and folder.
    """
    paths = [path for text in inputs for path in _expand(text)]
    unique = list(dict.fromkeys(path.absolute() for path in paths))
    return _name(unique)


def cases_below(folder: Path) -> list[Case]:
    """Every scan in a folder and its subfolders, by path; none is an answer, too.

    A subfolder with DICOM slices is one case; beside images they are left out, as by `find_cases`.
    Where names repeat, they are the paths below the folder.
    """
    paths = list(_below(folder, set()))
    counts = Counter(map(case_name, paths))

    def name(path: Path) -> str:
        short = case_name(path)
        return short if counts[short] == 1 else path.relative_to(folder).as_posix()

    return [Case(name(path), path) for path in paths]


def one_case(text: str) -> Case:
    """The scan of an input that must name a single one.

    Raises:
        InputError, UsageError: as `find_cases`, or there are several.
    """
    cases = find_cases([text])
    if len(cases) > 1:
        msg = f"'{text}' holds {len(cases)} scans: give one of them"
        raise UsageError(msg)
    return cases[0]


def is_image(path: Path) -> bool:
    """A file whose name says that it is a volume or a zip of DICOM slices."""
    return path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES)


def _expand(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return [path]
    if glob.has_magic(text):
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        if found:
            return [entry for match in found for entry in _expand(str(match))]
        msg = f"no file matches the pattern '{text}'"
        raise InputError(msg)
    msg = f"'{text}' does not exist: check the path"
    raise InputError(msg)


def _in_folder(folder: Path) -> list[Path]:
    entries = sorted(folder.iterdir())
    scans = _scans(entries)
    if scans:
        _warn_of(_dicom_beside(entries))
        return scans
    if any(is_dicom(path) for path in entries):
        return [folder]
    series = [path for path in entries if path.is_dir() and _holds_dicom(path)]
    if series:
        return series
    endings = " ".join(IMAGE_SUFFIXES)
    msg = f"the folder '{folder}' holds no scan: neither DICOM slices nor {endings}"
    raise InputError(msg)


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Scans in a folder and below; links are followed, but not in circles."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    scans, left_out = _scans(entries), tuple[Path, ...]()
    if scans:
        yield from scans
        left_out = _dicom_beside(entries)
        _warn_of(left_out)
    elif any(is_dicom(path) for path in entries):
        yield folder
    for path in entries:
        if path.is_dir() and path not in left_out:
            yield from _below(path, seen)


def _scans(entries: Iterable[Path]) -> list[Path]:
    images = [path for path in entries if is_image(path) and not path.name.startswith(".")]
    return [path for path in images if not path.name.lower().endswith(OWN_ENDINGS)]


def _holds_dicom(folder: Path) -> bool:
    return any(is_dicom(path) for path in folder.rglob("*"))


def _dicom_beside(entries: Iterable[Path]) -> tuple[Path, ...]:
    """Subfolders that begin with a DICOM slice; a first file says it, as trees may be large."""
    folders = (path for path in entries if path.is_dir())
    firsts = ((folder, min(folder.iterdir(), default=None)) for folder in folders)
    return tuple(folder for folder, first in firsts if first is not None and is_dicom(first))


@functools.cache  # once: the server lists its folder again and again
def _warn_of(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        log.warning("'%s' holds DICOM slices beside images: name it to have it read", folder)


def _name(paths: Iterable[Path]) -> list[Case]:
    """Case names from file names; a name that occurs twice gets its folder in front."""
    listed = [(path, case_name(path)) for path in paths]
    counts = Counter(name for _, name in listed)
    cases = [
        Case(name if counts[name] == 1 else f"{path.parent.name}_{name}", path)
        for path, name in listed
    ]
    names = Counter(case.name for case in cases)
    for case in cases:
        if names[case.name] > 1:
            msg = (
                f"several inputs are called '{case.name}', such as {case.path}: "
                "segment them into different folders"
            )
            raise UsageError(msg)
    return cases
