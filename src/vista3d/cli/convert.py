"""`vista3d convert`: checkpoints between layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[
        Path, typer.Argument(help="Ours, or published: .pt, .bin, .safetensors of any layout.")
    ],
    target: Annotated[
        Path, typer.Argument(help=".safetensors (with metadata) or .pt (MONAI >= 1.4 layout).")
    ],
    half: Annotated[
        bool, typer.Option("--half", help="Store fp16; otherwise values stay bit for bit.")
    ] = False,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="official or official-ctmr: whose settings a file without metadata gets "
            "(default: by its path).",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the target.")] = False,
) -> None:
    """Load a checkpoint strictly and write it in another layout."""
    from vista3d.errors import UsageError
    from vista3d.network import checkpoint
    from vista3d.network.published import PUBLISHED

    if as_ is not None and as_ not in PUBLISHED:
        msg = f"no published model {as_!r}: one of {', '.join(PUBLISHED)}"
        raise UsageError(msg)
    if target.exists() and not overwrite:
        msg = f"{target} exists: add --overwrite to replace it"
        raise UsageError(msg)
    meta = checkpoint.convert(source, target, "float16" if half else None, as_)
    typer.echo(f"{source} -> {target} ({meta.name}; licence: {meta.licence})")
