"""`vista3d serve`: the annotator page and the API."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from vista3d.cli.options import Device, Model, Precision
from vista3d.errors import InputError


def serve(
    data: Annotated[
        Path | None,
        typer.Option(show_default=False, help="Folder of scans to offer; it is never changed."),
    ] = None,
    model: Model = "mini",
    device: Device = "auto",
    precision: Precision = "auto",
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="VISTA3D_TOKEN",
            show_default=False,
            show_envvar=True,
            help="What clients must know. The variable keeps it out of the list of processes.",
        ),
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            help="Folder of uploads and sessions, private to you; default: the user's data folder.",
        ),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            min=0.1,
            help="GiB for open sessions; default: half of what is free.",
        ),
    ] = None,
    idle: Annotated[
        float, typer.Option(min=0.01, help="Minutes until an unused session leaves the memory.")
    ] = 30,
    allow_url: Annotated[
        list[str] | None,
        typer.Option(
            show_default=False,
            help="NIM clients: start of addresses that scans may be fetched from. Repeatable.",
        ),
    ] = None,
    nninteractive_axes: Annotated[
        str,
        typer.Option(help="nnInteractive clients: where their array axes point; SPL for Slicer."),
    ] = "SPL",
    nninteractive_class: Annotated[
        str | None,
        typer.Option(show_default=False, help="nnInteractive clients: what their clicks mean."),
    ] = None,
) -> None:
    """Open scans in a browser, segment them automatically and by clicks.

    3D Slicer and OHIF (MONAI Label), NIM and nnInteractive clients find their protocols at the same
    address.

    Example: vista3d serve --data scans
    """
    from vista3d.server.settings import GIB, Limits, Settings

    limits = Limits(memory=None if memory is None else int(memory * GIB), idle_seconds=60 * idle)
    settings = Settings(storage or _default_storage(), host, token, limits=limits)
    if data is not None and not data.is_dir():
        msg = f"--data '{data}' is not a folder"
        raise InputError(msg)

    from vista3d import inference
    from vista3d.server.routes.pages import page_is_built
    from vista3d.server.run import listen, run
    from vista3d.server.service import Service
    from vista3d.server.wires.build import build
    from vista3d.server.wires.options import Options

    options = Options(tuple(allow_url or ()), nninteractive_axes, nninteractive_class)
    at = listen(host, port)
    typer.echo(f"vista3d: loading the model {model}", err=True)  # stdout has the address alone
    if not page_is_built():
        typer.echo("vista3d: without its page, which was not built: `make web`", err=True)
    loaded = inference.load(model, device=device, precision=precision)
    service = Service(loaded, settings, lambda: [] if data is None else scans(data))
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{at.getsockname()[1]}/"
    query = "" if token is None else f"?token={token}"
    run(
        service, at,
        lambda: typer.echo(f"vista3d is at {address}{query}\nResearch software. Ctrl-C stops it."),
        build(service, options),
    )  # fmt: skip


def scans(folder: Path) -> Iterable[tuple[str, Path]]:
    """Name and path of each scan in a folder and in its subfolders, now."""
    from vista3d.cli.cases import cases_below

    return [(case.name, case.path) for case in cases_below(folder)]


def _default_storage() -> Path:
    from vista3d.network.weights import home

    return home() / "server"
