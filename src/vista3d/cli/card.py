"""`vista3d card`: what a model is, what it was trained on, how well it works, where it fails."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated

import typer


class Format(str, enum.Enum):
    """What a card is written as."""

    MARKDOWN = "markdown"
    ATLAS = "atlas"


def card(
    model: Annotated[
        str, typer.Option("--model", help="mini, official, official-ctmr, or a checkpoint.")
    ] = "mini",
    format_: Annotated[
        Format, typer.Option("--format", help="markdown, or the JSON of RSNA's ATLAS.")
    ] = Format.MARKDOWN,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to a file. Default: print.")
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(help="Folder of `vista3d evaluate`. Default: tables of a named model."),
    ] = None,
    training: Annotated[
        Path | None, typer.Option(help="Folder of `vista3d train`, for its learning curves.")
    ] = None,
) -> None:
    """Write a model's card.

    The card of a published model needs no weights. Example: vista3d card --model official --format
    atlas -o official.json
    """
    from vista3d.card import as_atlas, as_markdown, card_of, results_from

    found = card_of(model, results_from(evaluation, training))
    if format_ is Format.ATLAS:
        text = json.dumps(as_atlas(found), indent=1, ensure_ascii=False) + "\n"
    else:
        text = as_markdown(found)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
