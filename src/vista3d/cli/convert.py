"""`vista3d convert`: checkpoints between layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vista3d.cli.options import Overwrite


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file of any layout, ours or published (.pt, .bin, .safetensors), or mini, "
            "official and so on.",
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET", help=".safetensors (with metadata) or .pt (MONAI >= 1.4 layout)."
        ),
    ],
    half: Annotated[
        bool, typer.Option("--half", help="Store fp16; otherwise values stay bit for bit.")
    ] = False,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as",
            show_default=False,
            help="official or official-ctmr: whose settings a file without metadata gets "
            "(default: by its path).",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Load a checkpoint strictly and write it in another layout.

    Example: vista3d convert official official.safetensors --half
    """
    from vista3d.cli.writable import refuse_existing
    from vista3d.errors import UsageError
    from vista3d.network import checkpoint
    from vista3d.network.weights import PUBLISHED, resolve

    if as_ is not None and as_ not in PUBLISHED:
        msg = f"no published model {as_!r}: one of {', '.join(PUBLISHED)}"
        raise UsageError(msg)
    refuse_existing(target, allowed=overwrite)
    settings = source if as_ is None and source in PUBLISHED else as_
    meta = checkpoint.convert(resolve(source), target, "float16" if half else None, settings)
    typer.echo(f"{source} -> {target} ({meta.name}; licence: {meta.licence})")
