"""`vista3d download`: the published weights, their licence before and after."""

from __future__ import annotations

from typing import Annotated

import typer


def download(
    name: Annotated[str, typer.Argument(help="official or official-ctmr.")] = "official",
) -> None:
    """Fetch published weights from the Hugging Face hub; resumable, sha256-checked."""
    from vista3d.network import weights

    licence = weights.PUBLISHED[name][2] if name in weights.PUBLISHED else ""
    if licence:
        typer.echo(f"Licence of these weights: {licence}", err=True)
    path = weights.download(name)
    typer.echo(f"{name}: {path}")
    typer.echo(f"Licence of these weights: {licence}", err=True)
