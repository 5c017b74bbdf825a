"""`vista3d classes`: what can be segmented."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vista3d.cli.options import Json

if TYPE_CHECKING:
    from vista3d.anatomy import Structure


def classes(
    query: Annotated[
        str | None,
        typer.Argument(metavar="[QUERY]", help="Part of a name, an alias, a group, or an id."),
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Only this group.")] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Also the ids of the CT+MR model (133 and above).")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the structures: ids, names, groups, SNOMED CT codes.

    Example: vista3d classes kidney
    """
    from vista3d import anatomy
    from vista3d.errors import UnknownClassError

    found = anatomy.search(query) if query else list(anatomy.STRUCTURES.values())
    if group is not None:
        known = sorted({s.group for s in anatomy.STRUCTURES.values()})
        if group.lower() not in known:
            msg = f"unknown group {group!r}: one of {', '.join(known)}"
            raise UnknownClassError(msg)
        found = [s for s in found if s.group == group.lower()]
    if not all_ and not query:
        found = [s for s in found if s.source == "CT"]
    if query and not found:
        anatomy.find(query)  # raises with suggestions
    if as_json:
        typer.echo(json.dumps([asdict(s) for s in found], indent=1))
    else:
        _show(found)


def _show(found: list[Structure]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, header_style="bold")
    for column in ("id", "name", "group", "SNOMED CT", "note"):
        table.add_column(column, no_wrap=True)
    for s in found:
        red, green, blue = s.colour
        note = "never trained" if not s.trained else "expands to its parts" if s.parts else ""
        if not note and s.special:
            note = "ambiguous: clicks carry the special embedding"
        table.add_row(
            f"[rgb({red},{green},{blue})]\N{FULL BLOCK}[/] {s.id}",
            s.name,
            s.group,
            "" if s.type is None else s.type.value,
            note,
        )
    if not console.is_terminal:
        console = Console(width=120)
    console.print(table)
