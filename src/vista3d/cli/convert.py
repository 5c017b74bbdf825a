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
    half: Annotated[bool, typer.Option("--half", help="Store fp16 (safetensors only).")] = False,
) -> None:
    """Load a checkpoint strictly and write it in another layout."""
    from vista3d.network import checkpoint

    checkpoint.convert(source, target, "float16" if half else "float32")
    typer.echo(f"{source} -> {target}")
