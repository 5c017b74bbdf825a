"""`vista3d segment`: scans in, segmentations out."""

from __future__ import annotations

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
    Runtime,
    Series,
    Statistics,
)
from vista3d.errors import UsageError

if TYPE_CHECKING:
    from vista3d.anatomy import Vocabulary
    from vista3d.cli.cases import Case
    from vista3d.cli.outputs import Outputs
    from vista3d.cli.settings import CaseResult, Settings

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        show_default=False,
        help="Scans: .nii .nii.gz .nrrd .mha .mhd files, patterns, folders of images, "
        "DICOM folders or zips.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        show_default=False,
        help="Folder for the results, or for one scan a file: .nii .nii.gz .mha .nrrd .dcm.",
    ),
]
Classes = Annotated[
    str,
    typer.Option(
        "--classes",
        "-c",
        help="Names, groups or ids by commas: 'liver,lung,5'; see 'vista3d classes'.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", show_default=False, help="Write a JSON report of the whole run to this file."
    ),
]
Truth = Annotated[
    Path | None,
    typer.Option(
        "--truth",
        show_default=False,
        help="Label map on the grid of the (one) scan, in class ids or with names in the file: "
        "adds a Dice column.",
    ),
]


def segment(
    inputs: Inputs,
    out: Out,
    classes: Classes = "everything",
    model: Model = "mini",
    modality: Annotated[
        Literal["ct", "mr", "mr-brain"],
        typer.Option(help="Of the scans; MR is for --model official-ctmr."),
    ] = "ct",
    device: Device = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    preset: Annotated[
        Literal["default", "bundle", "paper"], typer.Option(help="Windows: overlap and blending.")
    ] = "default",
    formats: Formats = None,
    statistics: Statistics = False,
    preview: Preview = False,
    report: Report = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip cases that a former run has finished.")
    ] = False,
    truth: Truth = None,
    series: Series = None,
    overwrite: Overwrite = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Segment scans automatically; results are called CASE_seg.nii.gz and so on.

    Example: vista3d segment ct.nii.gz more/*.nii.gz -o out -c liver,kidney,ribs --preview
    """
    from vista3d.cli.cases import find_cases
    from vista3d.cli.outputs import choose_formats, is_file_name, plan
    from vista3d.cli.settings import Settings
    from vista3d.cli.writable import refuse_overwriting, require_writable

    # All that can be refused is refused before a scan is read or the model is loaded.
    asked = [name.strip() for name in classes.split(",") if name.strip()]
    if not asked:
        msg = "--classes names no class: give names, groups or ids, or 'everything'"
        raise UsageError(msg)
    everything = [name.lower() for name in asked] == ["everything"]
    weights, vocabulary = _weights(model)
    ids = vocabulary.resolve(asked)
    if not everything:
        vocabulary.split(ids)  # refuses what the model cannot do at all; the rest it leaves out
    cases = find_cases(inputs)
    for option, value in (("--truth", truth), ("--series", series)):
        if value is not None and len(cases) > 1:
            msg = f"{option} belongs to one scan, but there are {len(cases)}"
            raise UsageError(msg)
    if resume and is_file_name(out) and report is None:
        msg = "--resume with a single output file needs --report FILE, where the last run left one"
        raise UsageError(msg)
    settings = Settings(
        classes="everything" if everything else ids,
        model=model,
        weights=weights,
        vocabulary=vocabulary,
        device=device,
        runtime=runtime,
        precision=precision,
        preset=preset,
        modality=modality,
        formats=choose_formats(out, len(cases), formats or ()),
        truth=truth,
        series=series,
        resume=resume,
    )
    plans = [
        plan(out, case.name, settings.formats, statistics=statistics, preview=preview)
        for case in cases
    ]
    sources = [case.path for case in cases] + ([] if truth is None else [truth])
    refuse_overwriting(
        [path for outputs in plans for path in outputs.results()],
        sources,
        allowed=overwrite or resume,
        otherwise="--resume to keep the cases that are finished",
    )
    require_writable(out.parent if is_file_name(out) else out)
    if report is not None:
        require_writable(report.parent)
    _run(list(zip(cases, plans, strict=True)), settings, report, quiet=quiet)


def _weights(model: str) -> tuple[dict[str, Any], Vocabulary]:
    """Find the weights file, before anything slow: for the reports, and the names that it knows."""
    from vista3d.anatomy import Vocabulary
    from vista3d.network.about import about
    from vista3d.network.metadata import CheckpointMeta
    from vista3d.network.weights import PUBLISHED, resolve
    from vista3d.results import describe_source

    path = resolve(model)
    meta = about(model) if model in PUBLISHED else CheckpointMeta.peek(path)
    known = Vocabulary() if meta is None else Vocabulary.of(meta.names, meta.classes, model)
    return describe_source(path), known


def _run(
    work: list[tuple[Case, Outputs]], settings: Settings, report: Path | None, *, quiet: bool
) -> None:
    """Run the batch, write the report of the run, show the table, raise what went wrong."""
    from rich.console import Console

    from vista3d.cli.batch import final_error, run_batch, run_report
    from vista3d.cli.interrupt import cancel_on_interrupt
    from vista3d.cli.progress import listen
    from vista3d.results import write_report

    def load() -> Any:
        from vista3d import inference

        return inference.load(
            settings.model,
            device=settings.device,
            runtime=settings.runtime,
            precision=settings.precision,
        )

    errors = Console(stderr=True)
    with (
        cancel_on_interrupt(lambda text: errors.print(text, highlight=False)) as cancel,
        listen(errors, len(work), quiet=quiet) as listener,
    ):
        results = run_batch(work, settings, load, listener, cancel, former=report)
    if report is not None:
        write_report(report, run_report(results, len(work)))
    if not quiet:
        _show(results, len(work))
    error = final_error(results, len(work))
    if error is not None:
        raise error


def _show(results: list[CaseResult], total: int) -> None:
    """The table: structures of a single case, or one line per case."""
    from rich.console import Console

    from vista3d.cli.tables import case_table, missing, structure_table

    console = Console()
    if not console.is_terminal:
        # A log has no width to wrap at; 80 columns would fold names.
        console = Console(width=110)
    for result in results if total == 1 else ():
        if result.rows:
            console.print(structure_table(result.rows, result.dice))
            if text := missing(result.rows):
                console.print(text, highlight=False)
    if total > 1:
        console.print(case_table(results))
