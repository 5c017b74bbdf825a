"""`vista3d download`: the published weights, their licence before and after."""

from __future__ import annotations

from typing import Annotated

import typer


def download(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="official or official-ctmr.")
    ] = "official",
    ctmr: Annotated[
        bool,
        typer.Option("--ctmr", help="The CT+MR model (non-commercial); same as official-ctmr."),
    ] = False,
) -> None:
    """Fetch the published weights from the Hugging Face hub; resumable, sha256-checked.

    They go to the hub's cache (HF_HOME); HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured.

    Example: vista3d download official
    """
    from vista3d.network import weights

    chosen = "official-ctmr" if ctmr and name == "official" else name
    licence = (
        f"Licence of these weights: {weights.PUBLISHED[chosen].licence}"
        if (chosen in weights.PUBLISHED)
        else ""
    )
    if licence:
        typer.echo(licence, err=True)
    path = weights.download(chosen)
    typer.echo(str(path))
    sha256 = weights.receipt(chosen)["sha256"]
    typer.echo(f"sha256 {sha256}, as the hub states. Use it with --model {chosen}", err=True)
    typer.echo(licence, err=True)
