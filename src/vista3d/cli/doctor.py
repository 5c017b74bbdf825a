"""`vista3d doctor`: what this machine can do, and how long a case will take."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vista3d.cli.options import Json


def doctor(
    as_json: Json = False,
    timing: Annotated[
        bool, typer.Option("--timing/--no-timing", help="Time one window of the mini model.")
    ] = True,
) -> None:
    """Say what this machine can do: hardware, libraries, models, and the time a case takes.

    Writes nothing and does not use the network.
    """
    from vista3d.cli.machine import describe_machine

    found = describe_machine()
    found["models"] = describe_models()
    if timing:
        typer.echo("timing a window of mini (--no-timing leaves it out) ...", err=True)
    found["forecast"] = _forecast(found["models"]) if timing else None
    found["advice"] = advise(found)
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=1))
    else:
        _show(found)


def describe_models() -> list[dict[str, Any]]:
    """The named models: whether they are on this machine, how large, and under which licence."""
    from vista3d.errors import WeightsError
    from vista3d.network.metadata import CheckpointMeta
    from vista3d.network.weights import EMBEDDED, PUBLISHED, resolve

    models: list[dict[str, Any]] = []
    for name in (*EMBEDDED, *PUBLISHED):
        entry: dict[str, Any] = {"name": name, "present": False, "path": None, "mib": None}
        licence = PUBLISHED[name].licence if name in PUBLISHED else ""
        try:
            path = resolve(name)
            meta = CheckpointMeta.peek(path)
            size = round(path.stat().st_size / (1 << 20), 1)
            entry |= {"present": True, "path": str(path), "mib": size}
            licence = licence if meta is None else meta.licence
        except WeightsError as error:
            entry["note"] = str(error)
        models.append({**entry, "licence": licence})
    return models


def advise(found: dict[str, Any]) -> list[str]:
    """What would make this machine better at the work."""
    advice = []
    on_cpu = not found["accelerators"]
    if on_cpu and found["libraries"].get("openvino") is None:
        advice.append("no GPU: pip install 'vista3d[cpu]' adds OpenVINO, 1.3 to 2.9 times as fast")
    memory = found["memory"]["available_gib"]
    if memory is not None and memory < 4:
        advice.append(f"only {memory} GiB of memory are free: large scans need 4 GiB with mini")
    free = found["cache"]["free_gib"]
    if free is not None and free < 2:
        advice.append(f"only {free} GiB are free at {found['cache']['folder']}")
    if found["hub"]["offline"]:
        advice.append("HF_HUB_OFFLINE is set: 'vista3d download' will not reach the hub")
    return advice


def _forecast(models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The forecast with the embedded model, or None where it is missing or broken."""
    from pathlib import Path

    from vista3d.cli.forecast import forecast
    from vista3d.errors import Vista3DError

    mini = next(model for model in models if model["name"] == "mini")
    if not mini["present"]:
        return None
    try:
        return {"model": "mini", **forecast(Path(mini["path"]))}
    except Vista3DError as error:
        mini["note"] = str(error)
        return None


def _show(found: dict[str, Any]) -> None:
    """The findings as a page of aligned lines."""
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in _lines(found):
        table.add_row(name, text)
    Console(highlight=False).print(table)


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    from rich.markup import escape

    cpu, memory, cache = found["cpu"], found["memory"], found["cache"]
    missing = {True: "offline", False: "downloads allowed"}
    libraries = ", ".join(f"{k} {v or 'not installed'}" for k, v in found["libraries"].items())
    accelerators = ", ".join(
        f"{card['device']} {card['name']}" for card in found["accelerators"]
    )  # fmt: skip
    variables = ", ".join(f"{k}={v}" for k, v in found["hub"]["variables"].items())
    lines = [
        ("python", f"{found['python']} on {found['platform']}"),
        ("libraries", libraries),
        ("cpu", f"{cpu['model']}, {cpu['cores']} cores, {' '.join(cpu['instructions'])}"),
        ("memory", f"{memory['total_gib']} GiB, {memory['available_gib']} GiB available"),
        ("accelerators", accelerators or "none: the CPU does the work"),
        ("weights folder", f"{cache['folder']}, {cache['free_gib']} GiB free"),
        ("hub", f"{missing[found['hub']['offline']]} {variables}".strip()),
    ]
    for model in found["models"]:
        state = f"{model['mib']} MiB" if model["present"] else model.get("note", "not here")
        lines.append((f"model {model['name']}", f"{state}. {model['licence']}".strip()))
    lines.append(("time", forecast_text(found["forecast"])))
    lines += [("advice", text) for text in found["advice"]]
    return [(name, escape(text)) for name, text in lines]


def forecast_text(forecast: dict[str, Any] | None) -> str:
    """One sentence: how long a case takes."""
    from vista3d.cli.progress import duration

    if forecast is None:
        return "not measured"
    return (
        f"about {duration(forecast['case_s'])} for a {forecast['case']}, with {forecast['model']} "
        f"on {forecast['device']} ({forecast['runtime']}, {forecast['precision']}: "
        f"{forecast['windows']} windows of {forecast['window_s']} s)"
    )
