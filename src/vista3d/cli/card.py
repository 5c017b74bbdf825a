"""`vista3d card`: what a model is, what it was trained on, how well it works, where it fails."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated

import typer

from vista3d.cli.options import Model, Overwrite


class Format(str, enum.Enum):
    """What a card is written as."""

    MARKDOWN = "markdown"
    ATLAS = "atlas"


def card(
    model: Model = "mini",
    format_: Annotated[
        Format, typer.Option("--format", "-f", help="markdown, or the JSON of RSNA's ATLAS.")
    ] = Format.MARKDOWN,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default=False, help="Write to a file. Default: print."),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluation",
            show_default=False,
            help="Run folder of 'evaluate'. Default: the tables that come with a named model.",
        ),
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            "--training", show_default=False, help="Run folder of 'train', for learning curves."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model's card.

    The card of a published model needs no weights.

    Example: vista3d card --model official --format atlas -o official.json
    """
    from vista3d.card import as_atlas, as_markdown, card_of, results_from
    from vista3d.cli.writable import refuse_existing
    from vista3d.volume.writers import atomic_path

    if output is not None:
        refuse_existing(output, allowed=overwrite)
    found = card_of(model, results_from(evaluation, training))
    if format_ is Format.ATLAS:
        text = json.dumps(as_atlas(found), indent=1, ensure_ascii=False) + "\n"
    else:
        text = as_markdown(found)
    if output is None:
        typer.echo(text, nl=False)
    else:
        with atomic_path(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
