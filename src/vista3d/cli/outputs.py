"""Where the results of a case go, and writing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vista3d.errors import UsageError
from vista3d.results.label_map import sidecar
from vista3d.volume.nifti import stem

if TYPE_CHECKING:
    from vista3d.anatomy import Structure
    from vista3d.results import Profile, StructureStatistics
    from vista3d.volume import Volume

FORMATS = ("nifti", "per-class", "seg.nrrd")
LABEL_MAP_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd")
FILE_SUFFIXES = (*LABEL_MAP_SUFFIXES, ".nrrd")


@dataclass(frozen=True)
class Outputs:
    """The files and folders of one case; None for what was not asked for.

    Attributes:
        label_map: one file with global class ids; its JSON sidecar lies beside it.
        per_class: a folder of binary masks.
        seg_nrrd: a 3D Slicer segmentation.
        tables: statistics as JSON and CSV, or nothing.
        preview: the picture.
        report: the run report of the case; None when the output is a single file.
    """

    label_map: Path | None
    per_class: Path | None
    seg_nrrd: Path | None
    tables: tuple[Path, ...]
    preview: Path | None
    report: Path | None

    def results(self) -> list[Path]:
        """Everything but the report, sidecar included: what a finished case has on disk."""
        paths = [self.label_map, self.per_class, self.seg_nrrd, *self.tables, self.preview]
        found = [path for path in paths if path is not None]
        if self.label_map is not None:
            found.insert(1, sidecar(self.label_map))
        return found


def is_file_name(out: Path) -> bool:
    """`-o` names a file when it ends like one and is not a folder already."""
    return out.name.lower().endswith(FILE_SUFFIXES) and not out.is_dir()


def choose_formats(out: Path, cases: int, asked: Sequence[str]) -> tuple[str, ...]:
    """The formats to write; a file name given with `-o` decides its own.

    Raises:
        UsageError: an unknown format, a file name for several cases, or a file name and formats
            that contradict each other.
    """
    for name in asked:
        if name not in FORMATS:
            msg = f"unknown format '{name}': choose from {', '.join(FORMATS)}"
            raise UsageError(msg)
    if not is_file_name(out):
        return tuple(dict.fromkeys(asked)) or ("nifti",)
    if cases > 1:
        msg = f"'{out.name}' is one file, but there are {cases} scans: give a folder with -o"
        raise UsageError(msg)
    own = "seg.nrrd" if out.name.lower().endswith(".nrrd") else "nifti"
    if set(asked) - {own}:
        msg = (
            f"'{out.name}' can hold only the format {own}, not {', '.join(asked)}: "
            "give a folder with -o for several formats"
        )
        raise UsageError(msg)
    return (own,)


def plan(
    out: Path, case: str, formats: Sequence[str], *, statistics: bool, preview: bool
) -> Outputs:
    """Name every output of a case: beside the file `out`, or inside the folder `out`."""
    single = is_file_name(out)
    folder = out.parent if single else out
    base = stem(out) if single else case

    def beside(ending: str) -> Path:
        return folder / f"{base}{ending}"

    label_map = (out if single else beside("_seg.nii.gz")) if "nifti" in formats else None
    slicer = (out if single else beside(".seg.nrrd")) if "seg.nrrd" in formats else None
    tables = (beside("_statistics.json"), beside("_statistics.csv")) if statistics else ()
    return Outputs(
        label_map=label_map,
        per_class=beside("_seg") if "per-class" in formats else None,
        seg_nrrd=slicer,
        tables=tables,
        preview=beside("_preview.png") if preview else None,
        report=None if single else beside("_report.json"),
    )


def refuse_overwriting(plans: Iterable[Outputs], inputs: Iterable[Path], *, allowed: bool) -> None:
    """Stop before any work when a result would replace a file.

    Raises:
        UsageError: an output is one of the inputs, or exists and `allowed` is not set.
    """
    sources = {path.absolute() for path in inputs}
    for outputs in plans:
        for path in outputs.results():
            if path.absolute() in sources:
                msg = f"'{path}' is an input: choose another place with -o"
                raise UsageError(msg)
            if path.exists() and not allowed:
                msg = (
                    f"'{path}' exists: add --overwrite to replace it, or --resume to keep the "
                    "cases that are finished"
                )
                raise UsageError(msg)


def check_writable(outputs: Outputs, volume: Volume) -> None:
    """Refuse, before the work, a scan whose geometry the chosen file cannot hold.

    Raises:
        UsageError: sheared axes (a gantry tilt) and a MetaImage file.
    """
    path = outputs.label_map
    if path is not None and path.suffix.lower() in (".mha", ".mhd") and volume.geometry.is_sheared:
        msg = f"the axes of this scan are sheared, '{path.name}' cannot hold them: use .nii.gz"
        raise UsageError(msg)


def write_outputs(
    outputs: Outputs,
    case: str,
    labels: NDArray[np.integer],
    volume: Volume,
    ids: Sequence[int | Structure],
    rows: Sequence[StructureStatistics],
    spread: Profile,
    *,
    before: Callable[[str], None],
) -> list[Path]:
    """Write what was planned, one atomic file after the other.

    Args:
        outputs: what to write and where.
        case: its name, for the statistics.
        labels: global class ids (i, j, k) on the grid of `volume`.
        volume: the scan.
        ids: the classes that were asked for.
        rows: statistics of these classes.
        spread: the profile of the labels.
        before: hears what is written next, and may raise to stop there.

    Returns:
        The files and folders written.
    """
    from vista3d import results

    written: list[Path] = []
    if outputs.label_map is not None:
        before("label map")
        written += results.write_label_map(outputs.label_map, labels, volume, ids)
    if outputs.seg_nrrd is not None:
        before("seg.nrrd")
        path = outputs.seg_nrrd
        written.append(results.write_seg_nrrd(path, labels, volume, ids, profile=spread))
    if outputs.per_class is not None:
        before("one file per class")
        results.write_per_class(outputs.per_class, labels, volume, ids)
        written.append(outputs.per_class)
    for table in outputs.tables:
        before("statistics")
        written.append(results.write_statistics(table, rows, case=case))
    if outputs.preview is not None:
        before("preview")
        picture = results.preview(labels, volume, ids, profile=spread)
        written.append(results.write_preview(outputs.preview, picture))
    return written
