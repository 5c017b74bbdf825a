"""`vista3d sample`: a public CT to try the software on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the scan.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Which sample; see --list.", show_default="ct_chest"),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the samples with size, source and licence.")
    ] = False,
) -> None:
    """Download a public CT scan, checked by sha256 where its publisher states one.

    A broken download resumes. Of all commands only this one and 'pacs' fetch images.

    Example: vista3d sample -o scans
    """
    from vista3d.errors import UsageError
    from vista3d.sample import DEFAULT, SAMPLES, fetch, find_sample, sha256_of

    if listing:
        for entry in SAMPLES.values():
            typer.echo(f"{entry.name:18s} {entry.about}\n{'':18s} {entry.licence}; {entry.url}")
        return
    if output is None:
        msg = "say where to write the scan: vista3d sample -o DIR"
        raise UsageError(msg)
    chosen = find_sample(name or DEFAULT)
    typer.echo(f"{chosen.name}: {chosen.about}. Licence: {chosen.licence}", err=True)
    last = [-1]

    def tell(here: int, total: int) -> None:
        percent = 100 * here // total if total else here >> 20
        if percent // 10 != last[0] // 10:
            last[0] = percent
            unit = "%" if total else " MB"
            typer.echo(f"{percent}{unit}", err=True)

    path = fetch(chosen, output, tell)
    if not chosen.sha256:
        typer.echo(
            f"the publisher states no checksum; this file has sha256 {sha256_of(path)}", err=True
        )
    typer.echo(str(path))
