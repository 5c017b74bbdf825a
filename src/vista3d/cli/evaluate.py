"""`vista3d evaluate`: the paper's protocols on anybody's data, and runs side by side."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vista3d.cli.options import (
    Device,
    Json,
    LabelMap,
    Mapping,
    Model,
    Precision,
    Runtime,
    Seed,
    SplitName,
)
from vista3d.errors import CohortError, UsageError

if TYPE_CHECKING:
    from vista3d.evaluation.report import Report
    from vista3d.evaluation.run import CaseEnd


def evaluate(
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...", show_default=False,
            help="What `vista3d train --data` takes; or with --compare, folders of runs.",
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="auto, point, auto+point, clicks, zero-shot; several by commas, or all.",
        ),
    ] = "auto",
    official: Annotated[
        bool, typer.Option("--official", help="The released scripts' rules (docs/evaluation.md).")
    ] = False,
    model: Model = "mini",
    clicks: Annotated[
        str,
        typer.Option(
            "--clicks", show_default=False,
            help="Numbers of clicks to score at: 1,2,5. Default: the protocol's.",
        ),
    ] = "",
    classes: Annotated[
        str,
        typer.Option(
            "--classes", "-c", show_default=False,
            help="Only these: names, groups or ids by commas. Default: all that is annotated.",
        ),
    ] = "",
    split: SplitName = "validation",
    mapping: Mapping = None,
    map_: LabelMap = "",
    cases: Annotated[
        int | None,
        typer.Option(
            "--cases", min=1, show_default=False,
            help="The first so many scans of each data set. Default: all.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", show_default=False,
            help="Run folder; finished cases in it are skipped. Default: only print.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show finished runs side by side.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Of the surface Dice, in mm.")
    ] = 1.0,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything", help="Prompt all that the model knows, not only what is annotated."
        ),
    ] = False,
    device: Device = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="How many share the scans.")
    ] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Evaluate a model: tables with intervals, curves and worst cases in RUN/report.html.

    Exit code 3: some scans could not be evaluated; the others are in the report.

    Example: vista3d evaluate Dataset001_Mine --protocol auto,clicks --clicks 1,5 -o RUN
    """
    from vista3d.cli.writable import require_writable
    from vista3d.evaluation.protocols import PROTOCOLS
    from vista3d.evaluation.report import compare as compared
    from vista3d.evaluation.run import ModelSource
    from vista3d.studies import evaluate as evaluated
    from vista3d.studies.cases import split_named

    if compare:
        if output is None:
            msg = "--compare needs -o FOLDER, where the comparison goes"
            raise UsageError(msg)
        report = compared(datasets)
        report.write(output)
    else:
        part = split_named(split)
        if output is not None:
            require_writable(output)
        logging.getLogger("vista3d.studies").setLevel(logging.INFO)  # says which scans are taken
        names = _words(protocol)
        report = evaluated(
            ModelSource(model, device, runtime, precision),
            datasets,
            list(PROTOCOLS) if names == ["all"] else names,
            official=official,
            clicks=_numbers(clicks) if clicks else None,
            classes=_words(classes),
            split=part,
            mapping=mapping,
            labels=map_,
            cases=cases,
            tolerance_mm=tolerance,
            everything=everything,
            output=output,
            processes=processes,
            seed=seed,
            listen=_Lines(),
        )
    _show(report, output, as_json)
    if report.failures:
        names = sorted(report.failures)
        msg = f"{len(names)} scans were not evaluated: {', '.join(names[:5])}"
        raise CohortError(msg)


class _Lines:
    """One line on standard error for each case."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, end: CaseEnd, done: int, total: int) -> None:
        from vista3d.cli.progress import duration

        spent = duration(time.monotonic() - self._started)
        why = f": {end.error}" if end.error else ""
        name = f"{end.case.dataset}/{end.case.name}"
        typer.echo(f"{end.run} {done}/{total} {name} {end.state}, {spent}{why}", err=True)


def _show(report: Report, output: Path | None, as_json: bool) -> None:
    from vista3d.evaluation.report.files import summary_document
    from vista3d.evaluation.report.markdown import markdown

    if as_json:
        typer.echo(json.dumps(summary_document(report.listed), indent=1))
        return
    typer.echo(markdown(report.listed))
    if output is not None:
        typer.echo(f"{output / 'report.html'}: tables, curves and worst cases")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in _words(text)]
    except ValueError:
        msg = f"--clicks {text!r} must be whole numbers by commas, such as 1,2,5,10"
        raise UsageError(msg) from None
