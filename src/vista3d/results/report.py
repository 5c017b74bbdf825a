"""The run report: what was done to one case, in one JSON that a program or an auditor reads.

It names the input by its file name and a checksum, and never holds a path or a header field that
could identify a patient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vista3d.anatomy import described
from vista3d.errors import CancelledError, Vista3DError
from vista3d.results.json_file import write_json
from vista3d.results.statistics import StructureStatistics

if TYPE_CHECKING:
    from vista3d.anatomy import Structure
    from vista3d.volume import Geometry

VERSION = 1
_CHUNK = 1 << 20


def write_report(path: Path, report: Mapping[str, Any]) -> Path:
    """Write a report atomically; numpy numbers and arrays become plain ones."""
    return write_json(Path(path), plain(report))


def case_report(
    *,
    case: str,
    source: Mapping[str, Any],
    classes: Sequence[int | Structure],
    settings: Mapping[str, Any],
    geometry: Geometry | None = None,
    run: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    outputs: Iterable[Path] = (),
    rows: Sequence[StructureStatistics] = (),
    error: BaseException | None = None,
) -> dict[str, Any]:
    """Put the report of one case together.

    Args:
        case: its name, as in the names of its outputs.
        source: `describe_source` of the input.
        classes: the global ids that were asked for.
        settings: what was asked of the run: model, device, precision, preset, formats.
        geometry: of the scan, when it could be read.
        run: what inference says of itself: model, device, timings per step in seconds, memory
            prediction, windows, versions.
        warnings: of the reader and of the run, in plain words.
        outputs: files written; only their names are kept.
        rows: statistics, from which the summary is drawn.
        error: why the case failed; None when it finished.
    """
    return {
        "format": "vista3d run report",
        "version": VERSION,
        "case": case,
        "state": _state(error),
        "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input": dict(source),
        "geometry": None if geometry is None else _geometry(geometry),
        "settings": dict(settings),
        "classes": [{"id": s.id, "name": s.name} for s in described(classes).values()],
        "run": dict(run or {}),
        "warnings": list(warnings),
        "outputs": [path.name for path in outputs],
        "structures": _summary(rows),
        "error": None if error is None else describe_error(error),
    }


def describe_source(path: Path) -> dict[str, Any]:
    """Name, size in bytes and SHA-256 of an input file, or of all files of a folder.

    Raises:
        OSError: it cannot be read.
    """
    path = Path(path)
    digest, size = hashlib.sha256(), 0
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    return {"name": path.name, "bytes": size, "sha256": digest.hexdigest()}


def describe_error(error: BaseException) -> dict[str, Any]:
    """Type, message and exit code of a failure."""
    code = error.exit_code if isinstance(error, Vista3DError) else 1
    return {"type": type(error).__name__, "message": str(error), "exit_code": code}


def plain(value: Any) -> Any:
    """The value with numpy scalars, arrays, tuples and paths turned into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        # JSON has no NaN or infinity.
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


def _state(error: BaseException | None) -> str:
    if error is None:
        return "finished"
    stopped = isinstance(error, (CancelledError, KeyboardInterrupt))
    return "cancelled" if stopped else "failed"


def _geometry(geometry: Geometry) -> dict[str, Any]:
    return {
        "shape": [int(size) for size in geometry.shape],
        "spacing_mm": [round(float(step), 6) for step in geometry.spacing],
        "orientation": geometry.orientation,
        "affine_ras": geometry.affine.tolist(),
        "sheared": bool(geometry.is_sheared),
    }


def _summary(rows: Sequence[StructureStatistics]) -> dict[str, Any]:
    found = [row for row in rows if row.voxels]
    return {
        "found": len(found),
        "not_found": [row.name for row in rows if not row.voxels],
        "truncated": [row.name for row in found if row.truncated],
        "volume_ml": {row.name: row.volume_ml for row in found},
    }
