"""`vista3d pacs`: series from a DICOMweb archive, results back into it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vista3d.cli.options import Json
from vista3d.errors import UsageError

if TYPE_CHECKING:
    from vista3d.dicomweb import Archive, Series

ACTIONS = {
    "find": "list the series that match",
    "pull": "fetch one series into a new folder, to be segmented",
    "push": "store DICOM files, such as segmentations",
}


def pacs(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="find, pull or push.")],
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="Root of the DICOMweb service: https://host/dicom-web, say."
        ),
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", show_default=False, help="push: files or folders."),
    ] = None,
    series: Annotated[
        str | None, typer.Option("--series", show_default=False, help="SeriesInstanceUID.")
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", show_default=False, help="find: StudyInstanceUID.")
    ] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", show_default=False, help="find: PatientID.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option("--modality", show_default=False, help="find: CT, SEG, ...")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", show_default=False, help="find: 20260131, or 20260101-20260131."),
    ] = None,
    results_of: Annotated[
        str | None,
        typer.Option(
            "--results-of",
            show_default=False,
            help="find: segmentations and structure sets made on this series.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="find: at most so many.")] = 100,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", show_default=False, help="pull: a new folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find, fetch and store series in a DICOMweb archive.

    Credentials: VISTA3D_PACS_TOKEN, or VISTA3D_PACS_USER and VISTA3D_PACS_PASSWORD, or ~/.netrc.

    Example: vista3d pacs pull https://host/dicom-web --series 1.2.3 -o ct; vista3d segment ct
    -o out -f dicom-seg; vista3d pacs push https://host/dicom-web out/ct_seg.dcm
    """
    from vista3d.dicomweb import Archive

    if action not in ACTIONS:
        listing = "; ".join(f"{name}: {text}" for name, text in ACTIONS.items())
        msg = f"unknown action {action!r} ({listing})"
        raise UsageError(msg)
    if files and action != "push":
        msg = f"pacs {action} takes no files, but {files[0]} was given"
        raise UsageError(msg)
    archive = Archive(url)
    if action == "push":
        _push(archive, files or [])
    elif action == "pull":
        _pull(archive, series, out)
    elif results_of is not None:
        _show(archive.results_of(results_of), as_json)
    else:
        filters = {
            "SeriesInstanceUID": series,
            "StudyInstanceUID": study,
            "PatientID": patient,
            "Modality": modality,
            "StudyDate": date,
        }
        given = {keyword: value for keyword, value in filters.items() if value is not None}
        _show(archive.find(limit=limit, **given), as_json)


def _pull(archive: Archive, series: str | None, out: Path | None) -> None:
    if series is None or out is None:
        msg = "pacs pull needs --series UID and -o FOLDER: 'vista3d pacs find' lists the UIDs"
        raise UsageError(msg)
    images = archive.pull(series, out)
    typer.echo(f"{len(images)} images in {out}")


def _push(archive: Archive, places: list[Path]) -> None:
    paths = [
        path
        for place in places
        for path in (
            sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        )
    ]
    if not paths:
        msg = "pacs push needs files or folders of DICOM objects"
        raise UsageError(msg)
    typer.echo(f"{archive.push(paths)} objects stored in {archive.url}")


def _show(found: list[Series], as_json: bool) -> None:
    """No patient's name: the table may be pasted into a ticket."""
    if as_json:
        typer.echo(json.dumps([asdict(series) for series in found], indent=1))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("date", "modality", "number", "images", "description", "series"):
        table.add_column(title, overflow="fold")
    for one in found:
        table.add_row(one.date, one.modality, str(one.number or ""), str(one.images or ""),
                      escape(one.description), one.series)  # fmt: skip
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    typer.echo(f"{len(found)} series")
