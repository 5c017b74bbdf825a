"""`vista3d finetune`: a model for a new structure from a few annotated scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vista3d.cli.options import Cache, CacheGb, Seed


def finetune(
    data: Annotated[
        Path,
        typer.Option(
            "--data", show_default=False, help="One data set: nnU-Net raw folder, datalist or CSV."
        ),
    ],
    map_: Annotated[
        str,
        typer.Option(
            "--map",
            show_default=False,
            help="What its labels mean: '1:pancreas,2:new:my tumour'. Others: background.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", show_default=False, help="Run folder; an existing run is resumed."
        ),
    ],
    cases: Annotated[
        int | None,
        typer.Option(
            "--cases", min=1, show_default=False, help="Scans to learn from. Default: all."
        ),
    ] = None,
    initial: Annotated[
        str,
        typer.Option("--initial", help="Model to start from: mini, official or a checkpoint file."),
    ] = "mini",
    mode: Annotated[
        Literal["full", "light"],
        typer.Option("--mode", help="light: class embeddings, head and norms only."),
    ] = "full",
    points: Annotated[
        bool, typer.Option("--points", help="Also train clicks, for half as long again.")
    ] = False,
    minutes: Annotated[
        float, typer.Option("--minutes", help="Of training, at most; whichever is first.")
    ] = 20.0,
    steps: Annotated[
        int, typer.Option("--steps", help="Of training, at most; whichever is first.")
    ] = 2000,
    spacing: Annotated[
        float | None,
        typer.Option(
            "--spacing", show_default=False, help="Of the grid, in mm. Default: from the scans."
        ),
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(
            "--patch", show_default=False, help="Voxels per side. Default: from the scans."
        ),
    ] = None,
    pieces: Annotated[
        Literal["auto", "one", "any"],
        typer.Option(
            "--pieces",
            help="one: keep the surest piece of each structure. auto: where it is in one piece "
            "in all scans.",
        ),
    ] = "auto",
    seed: Seed = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    cache: Cache = None,
    cache_gb: CacheGb = 50.0,
) -> None:
    """Fine-tune a model on a data set and write RUN/model.safetensors.

    Example: vista3d finetune --data Dataset001_Mine --map "1:pancreas" --cases 5 -o RUN
    """
    import logging

    from vista3d.cli.writable import require_writable
    from vista3d.training.finetuning import finetune as tune

    require_writable(output)
    logging.getLogger("vista3d.training").setLevel(logging.INFO)  # minutes of silence otherwise
    model = tune(
        initial, data, map_, output, cases=cases, mode=mode, points=points, minutes=minutes,
        steps=steps, spacing=spacing, patch=patch, pieces=pieces, seed=seed, device=device,
        cache=cache, cache_bytes=round(cache_gb * 1e9),
    )  # fmt: skip
    names = ", ".join(f"{i} {model.vocabulary.by_id(i).name}" for i in model.meta.classes)
    typer.echo(f"{output / 'model.safetensors'}: {names}")
