"""`vista3d calibrate`: what each class must win by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vista3d.cli.options import Device, LabelMap, Mapping, Model, Overwrite, SplitName

if TYPE_CHECKING:
    from vista3d.studies.calibration import Line


def calibrate(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA...", show_default=False, help="Data sets, as for 'train'."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", show_default=False, help="The model with its margins."),
    ],
    model: Model = "mini",
    cases: Annotated[int, typer.Option("--cases", min=1, help="Scans of each data set.")] = 40,
    split: SplitName = "train",
    mapping: Mapping = None,
    map_: LabelMap = "",
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Choose each class's margin on training scans, where masks come out too large.

    Scans of the training split are segmented with several margins; the best one of every class that
    eight scans or more show is written into a copy of the model. Nothing is trained. For a model
    that 'finetune' trained on all scans of a data set, say --split all, and what labels mean.

    Example: vista3d calibrate Dataset001_Mine -m RUN/model.safetensors -o calibrated.safetensors
    """
    from vista3d.cli.writable import refuse_existing, require_writable
    from vista3d.errors import UsageError

    if output.suffix != ".safetensors":
        msg = f"-o {output} must end in .safetensors"
        raise UsageError(msg)
    refuse_existing(output, allowed=overwrite)
    require_writable(output.parent)

    from vista3d import inference
    from vista3d.network.checkpoint import save_checkpoint
    from vista3d.studies.calibration import LEAST_SCANS, calibrated
    from vista3d.studies.calibration import calibrate as choose
    from vista3d.studies.cases import Choice, evaluation_cases, split_named

    choice = Choice(split_named(split), mapping, map_, cases)
    loaded = inference.load(model, device=device)
    scans = evaluation_cases(data, choice, loaded.meta)
    lines = choose(loaded, scans, lambda name: typer.echo(name, err=True))
    save_checkpoint(output, loaded.network.state_dict(), calibrated(loaded.meta, lines))
    typer.echo(_table(lines))
    few = [line.name for line in lines if line.scans < LEAST_SCANS]
    if few:
        typer.echo(f"drawn in fewer than {LEAST_SCANS} scans, margin 0: {', '.join(few)}", err=True)
    typer.echo(f"{output}")


def _table(lines: list[Line]) -> str:
    from vista3d.studies.calibration import MARGINS

    head = ["structure", "scans", *(f"{margin:g}" for margin in MARGINS), "margin"]
    rows = [
        [line.name, str(line.scans), *(f"{d:.3f}" for d in line.dice), f"{line.margin:g}"]
        for line in lines
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    )
