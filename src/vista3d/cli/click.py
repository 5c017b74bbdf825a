"""`vista3d click`: one object from clicks, or an automatic result corrected by them."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vista3d.cli.options import (
    Device,
    Formats,
    Model,
    Overwrite,
    Precision,
    Preview,
    Series,
    Statistics,
)
from vista3d.errors import InputError, UsageError

if TYPE_CHECKING:
    from vista3d import inference
    from vista3d.cli.outputs import Outputs
    from vista3d.inference import InteractiveSession
    from vista3d.volume import Volume

log = logging.getLogger(__name__)

Points = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        show_default=False,
        metavar="I,J,K,SIGN",
        help="A click at a voxel of the scan; SIGN + for 'this', - for 'not this'. Repeatable.",
    ),
]
PointsMM = Annotated[
    list[str] | None,
    typer.Option(
        "--point-mm",
        show_default=False,
        metavar="X,Y,Z,SIGN",
        help="The same in RAS+ millimetres (NIfTI, 3D Slicer's display).",
    ),
]
PointsLPS = Annotated[
    list[str] | None,
    typer.Option(
        "--point-lps",
        show_default=False,
        metavar="X,Y,Z,SIGN",
        help="The same in LPS millimetres (DICOM, ITK).",
    ),
]


def click(
    scan: Annotated[
        Path, typer.Argument(metavar="INPUT", show_default=False, help="A scan, as for 'segment'.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            show_default=False,
            help="Folder for the results, or a file: .nii .nii.gz .mha .nrrd .dcm.",
        ),
    ],
    point: Points = None,
    point_mm: PointsMM = None,
    point_lps: PointsLPS = None,
    class_: Annotated[
        str | None,
        typer.Option(
            "--class", "-c", show_default=False, help="The structure that the clicks mean: a name."
        ),
    ] = None,
    new: Annotated[
        str | None,
        typer.Option("--new", show_default=False, help="A name for a structure that no table has."),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            "--initial",
            show_default=False,
            help="A mask on the scan's grid to start from, or a label map: all of its structures "
            "are kept, and --class or --new says which one the clicks mean.",
        ),
    ] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="Start from the automatic result of --class.")
    ] = False,
    session: Annotated[
        Path | None,
        typer.Option(
            "--session",
            show_default=False,
            help="Session file: opened where it exists, and saved at the end.",
        ),
    ] = None,
    overlap: Annotated[
        Literal["overwrite", "keep existing", "allow overlap"],
        typer.Option("--overlap", help="What happens where objects meet."),
    ] = "overwrite",
    series: Series = None,
    model: Model = "mini",
    device: Device = "auto",
    precision: Precision = "auto",
    formats: Formats = None,
    statistics: Statistics = False,
    preview: Preview = False,
    overwrite: Overwrite = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table.")] = False,
) -> None:
    """Segment one object by clicks, or correct an automatic result.

    Example: vista3d click ct.nii.gz -o out --class liver --auto --point "120,88,40,-" --preview
    """
    from vista3d.cli.cases import one_case
    from vista3d.cli.outputs import check_writable, choose_formats, is_file_name, plan
    from vista3d.cli.settings import Settings
    from vista3d.cli.writable import refuse_overwriting, require_writable

    clicks = [
        *(parse_click(text, "voxel") for text in point or ()),
        *(parse_click(text, "ras") for text in point_mm or ()),
        *(parse_click(text, "lps") for text in point_lps or ()),
    ]
    _refuse_contradictions(class_, new, auto, initial)
    goes_on = session is not None and session.exists()
    if not (clicks or auto or initial or goes_on):
        msg = "nothing to do: give --point I,J,K,+ or --auto with --class, --initial or --session"
        raise UsageError(msg)
    case = one_case(str(scan))
    outputs = plan(
        out, case.name, choose_formats(out, 1, formats or ()),
        statistics=statistics, preview=preview,
    )  # fmt: skip
    sources = [case.path] + ([] if initial is None else [initial])
    refuse_overwriting(outputs.results(), sources, allowed=overwrite)
    require_writable(out.parent if is_file_name(out) else out)
    if session is not None:
        require_writable(session.parent)

    from vista3d import inference
    from vista3d.network.weights import resolve
    from vista3d.results import describe_source
    from vista3d.volume import check_ct, read

    weights = describe_source(resolve(model))
    started = time.monotonic()
    volume = check_ct(read(case.path, series=series))
    check_writable(outputs, volume)
    loaded = inference.load(model, device=device, precision=precision)
    opened = _open(loaded, volume, session, overlap)
    if initial is None:
        target = _object(opened, class_, new)
    else:
        target = _start(opened, initial, class_, new)
    _warn_of_untrained(loaded, opened[target].class_id)
    if auto:
        opened.run_automatic([str(class_)])
    for position, positive, space in clicks:
        opened.click(position, positive, space=space, object_id=target)
    if session is not None:
        opened.save(session)
        if not goes_on:  # a mistyped name would look as if the work were lost
            typer.echo(f"new session {session}", err=True)
    seconds = time.monotonic() - started
    asked = Settings(
        classes=tuple(thing.class_id for thing in opened.objects if thing.class_id is not None),
        model=model,
        weights=weights,
        device=device,
        runtime="auto",
        precision=precision,
        preset="default",
        modality="ct",
        formats=tuple(outputs.files),
        series=series,
    )
    settings = {
        **asked.document(),
        "overlap": overlap,
        "auto": auto,
        "initial": None if initial is None else describe_source(initial),
    }
    run = {**loaded.described, "seconds": seconds}
    _write(outputs, case.name, case.path, opened, settings, run, quiet=quiet)


def parse_click(text: str, space: str) -> tuple[tuple[float, ...], bool, Any]:
    """ "12,30,7,+" -> position, positive, convention.

    Raises:
        UsageError: not three numbers and a sign.
    """
    parts = [part.strip() for part in text.split(",")]
    signs = {"+": True, "-": False, "1": True, "0": False}
    try:
        x, y, z, sign = parts
        return (float(x), float(y), float(z)), signs[sign], space
    except (ValueError, KeyError):
        msg = f"click {text!r} is not three numbers and a sign, such as 120,88,40,+"
        raise UsageError(msg) from None


def _refuse_contradictions(
    class_: str | None, new: str | None, auto: bool, initial: Path | None
) -> None:
    if class_ is not None and new is not None:
        msg = "--class is for a known structure and --new for any other: give one of them"
        raise UsageError(msg)
    if auto and class_ is None:
        msg = "--auto needs --class: which structure is segmented automatically?"
        raise UsageError(msg)
    if auto and initial is not None:
        msg = "--auto and --initial both say where the object starts from: give one of them"
        raise UsageError(msg)


def _open(
    model: inference.Model, volume: Volume, path: Path | None, overlap: str
) -> InteractiveSession:
    if path is not None and path.exists():
        opened = model.open_session(path, volume)
    else:
        opened = model.session(volume)
    opened.overlap = overlap  # type: ignore[assignment]
    return opened


def _object(session: InteractiveSession, class_: str | None, new: str | None) -> int:
    """The object that is meant: one of this class or name that is there, or a new one."""
    if class_ is None and new is None and session.active is not None:
        return session.active
    wanted = None if class_ is None else session.vocabulary.resolve([class_])
    for thing in session.objects:
        if (wanted is not None and wanted == (thing.class_id,)) or thing.name == new:
            return thing.id
    return session.add_object(new, class_=class_)


def _warn_of_untrained(model: inference.Model, class_id: int | None) -> None:
    if class_id is not None and class_id not in model.meta.classes:
        name = model.vocabulary.by_id(class_id).name
        log.warning(
            "model %s was not trained on %r: clicks are answered as for a new structure",
            model.meta.name, name,
        )  # fmt: skip


def _start(session: InteractiveSession, path: Path, class_: str | None, new: str | None) -> int:
    """Begin from a mask, or from all structures of a label map; the object that is meant."""
    from vista3d.inference.interactive.masks import values_of
    from vista3d.volume import read_label_map

    found = read_label_map(path, session.volume.geometry)
    labels, values = found.array, values_of(found.array)
    if not values:
        msg = f"the initial mask '{path.name}' is empty"
        raise InputError(msg)
    named = class_ is not None or new is not None
    if len(values) == 1 and (named or not found.meta.labels):
        target = _object(session, class_, new)
        session.set_initial_mask(target, labels)
        return target
    if session.objects:
        msg = f"'{path.name}' has {len(values)} structures, and the session has objects already: "
        msg += "give a mask of one, or begin another session"
        raise UsageError(msg)
    names = found.meta.labels or {v: session.vocabulary.by_id(v).name for v in values if v in
                                  session.vocabulary}  # fmt: skip
    made = session.add_labels(labels, names)
    if len(values) == 1:
        return made[values[0]]
    if not named:
        there = ", ".join(thing.name for thing in session.objects[:8])
        msg = f"'{path.name}' has {len(values)} structures ({there}): say with --class or --new "
        msg += "which one the clicks mean"
        raise UsageError(msg)
    return _object(session, class_, new)


def _write(
    outputs: Outputs, case: str, source: Path, session: InteractiveSession,
    settings: dict[str, Any], run: dict[str, Any], *, quiet: bool,
) -> None:  # fmt: skip
    from rich.console import Console

    from vista3d import results
    from vista3d.cli.outputs import Segmented, write_outputs
    from vista3d.cli.tables import structure_table
    from vista3d.inference.interactive.labelled import class_labels, makers_of

    volume = session.volume
    i, j, k = volume.array.shape
    labels, structures = class_labels(session.objects, (i, j, k))
    spread = results.profile_labels(labels, volume.array)
    rows = results.statistics(labels, volume, structures, profile=spread)
    done = Segmented(
        case=case,
        what=results.Labelled(
            labels,
            volume,
            structures,
            model=str(run["model"]),
            makers=makers_of(session.objects),
            profile=spread,
        ),
        rows=rows,
        clicks=[(c.position, c.positive) for thing in session.objects for c in thing.clicks],
    )
    written = write_outputs(outputs, done, before=lambda _: None)
    if outputs.report is not None:
        objects = [
            {
                "name": thing.name,
                "class_id": thing.class_id,
                "novel": thing.novel,
                "clicks": [
                    {"voxel": list(c.position), "positive": c.positive} for c in thing.clicks
                ],
            }
            for thing in session.objects
        ]
        report = results.case_report(
            case=case,
            source=results.describe_source(source),
            classes=structures,
            settings=settings,
            geometry=volume.geometry,
            run={**run, "objects": objects},
            warnings=volume.meta.warnings,
            outputs=written,
            rows=rows,
        )
        results.write_report(outputs.report, report)
    if not quiet:
        console = Console()
        if not console.is_terminal:
            console = Console(width=110)
        console.print(structure_table(rows, {}))
