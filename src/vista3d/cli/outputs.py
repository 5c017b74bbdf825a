"""Where the results of a case go, and writing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from vista3d.errors import UsageError
from vista3d.results.formats import FORMATS, Labelled
from vista3d.results.label_map import sidecar
from vista3d.volume.nifti import stem
from vista3d.volume.writers import require_grid

if TYPE_CHECKING:
    from vista3d.results import StructureStatistics
    from vista3d.volume import Volume

DICOM_FORMATS = tuple(name for name, format_ in FORMATS.items() if format_.of_dicom)
_HOLDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys((".nii", ".nii.gz", ".mha"), ("nifti",)),
        ".nrrd": ("seg.nrrd",),
        ".dcm": DICOM_FORMATS,
        ".zip": ("stl",),
    }
)
"""Suffix of a single output file -> the formats that it can hold, the usual one first."""
FILE_SUFFIXES = tuple(_HOLDS)


@dataclass(frozen=True)
class Outputs:
    """The files and folders of one case.

    Attributes:
        files: format -> file or folder; a label map has its JSON sidecar beside it.
        tables: statistics as JSON and CSV, or nothing.
        preview: the picture, or None.
        report: the run report of the case; None when the output is a single file.
    """

    files: Mapping[str, Path]
    tables: tuple[Path, ...]
    preview: Path | None
    report: Path | None

    def results(self) -> list[Path]:
        """Everything but the report, sidecar included: what a finished case has on disk."""
        found = [*self.files.values(), *self.tables]
        if self.preview is not None:
            found.append(self.preview)
        if "nifti" in self.files:
            found.insert(1, sidecar(self.files["nifti"]))
        return found


def is_file_name(out: Path) -> bool:
    """`-o` names a file when it ends like one and is not a folder already."""
    return out.name.lower().endswith(FILE_SUFFIXES) and not out.is_dir()


def choose_formats(out: Path, cases: int, asked: Sequence[str]) -> tuple[str, ...]:
    """The formats to write; a file name given with `-o` decides its own.

    Raises:
        UsageError: an unknown format, a file name for several cases, a file name and formats that
            contradict each other, or .mhd, whose second file may belong to another scan.
    """
    for name in asked:
        if name not in FORMATS:
            msg = f"unknown format '{name}': choose from {', '.join(FORMATS)}"
            raise UsageError(msg)
    if out.suffix.lower() == ".mhd" and not out.is_dir():
        msg = f"'{out.name}' would be two files: give .mha, which is the same in one"
        raise UsageError(msg)
    if not is_file_name(out):
        return tuple(dict.fromkeys(asked)) or ("nifti",)
    if cases > 1:
        msg = f"'{out.name}' is one file, but there are {cases} scans: give a folder with -o"
        raise UsageError(msg)
    possible = next(held for suffix, held in _HOLDS.items() if out.name.lower().endswith(suffix))
    chosen = tuple(dict.fromkeys(asked)) or possible[:1]
    if len(chosen) > 1 or chosen[0] not in possible:
        msg = (
            f"'{out.name}' can hold only the format {' or '.join(possible)}, not "
            f"{', '.join(asked)}: give a folder with -o for several formats"
        )
        raise UsageError(msg)
    return chosen


def plan(
    out: Path, case: str, formats: Sequence[str], *, statistics: bool, preview: bool
) -> Outputs:
    """Name every output of a case: beside the file `out`, or inside the folder `out`."""
    single = is_file_name(out)
    folder = out.parent if single else out
    base = stem(out) if single else case

    def beside(ending: str) -> Path:
        return folder / f"{base}{ending}"

    return Outputs(
        files={
            name: out if single else beside(format_.ending)
            for name, format_ in FORMATS.items()
            if name in formats
        },
        tables=(beside("_statistics.json"), beside("_statistics.csv")) if statistics else (),
        preview=beside("_preview.png") if preview else None,
        report=None if single else beside("_report.json"),
    )


def check_writable(outputs: Outputs, volume: Volume) -> None:
    """Refuse, before the work, a scan that the chosen files cannot hold.

    Raises:
        UsageError: sheared axes (a gantry tilt) and a MetaImage file.
        InputError: DICOM results of a scan that was not read from DICOM.
    """
    path = outputs.files.get("nifti")
    if path is not None:
        require_grid(path, volume.geometry)
    if any(name in outputs.files for name in DICOM_FORMATS):
        from vista3d.results.dicom_source import require_series

        require_series(volume)


@dataclass(frozen=True, eq=False)
class Segmented:
    """What there is to write.

    Attributes:
        case: its name, for the statistics.
        what: the segmentation.
        rows: statistics of its classes.
        clicks: voxels and whether they are positive, for the picture.
    """

    case: str
    what: Labelled
    rows: Sequence[StructureStatistics]
    clicks: Sequence[tuple[Sequence[float], bool]] = ()


def write_outputs(
    outputs: Outputs, done: Segmented, *, before: Callable[[str], None]
) -> list[Path]:
    """Write what was planned, one atomic file after the other.

    Args:
        outputs: what to write and where.
        done: the segmentation.
        before: hears what is written next, and may raise to stop there.

    Returns:
        The files and folders written.
    """
    from vista3d import results

    written: list[Path] = []
    for name, path in outputs.files.items():
        before(name)
        written += FORMATS[name].write(path, done.what)
    for table in outputs.tables:
        before("statistics")
        written.append(results.write_statistics(table, done.rows, case=done.case))
    if outputs.preview is not None:
        before("preview")
        what = done.what
        picture = results.preview(
            what.labels, what.volume, what.ids, profile=what.profile, clicks=done.clicks
        )
        written.append(results.write_preview(outputs.preview, picture))
    return written
