"""`vista3d phantom`: synthetic torso CTs with ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vista3d.cli.options import Overwrite


def phantom(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the images.", show_default=False)
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first patient.")] = 0,
    count: Annotated[
        int, typer.Option("--count", min=1, help="Patients; seeds count up from --seed.")
    ] = 1,
    spacing: Annotated[
        str, typer.Option("--spacing", help="Voxel size x,y,z in mm, or one number for all.")
    ] = "2.5,2.5,3",
    region: Annotated[
        Literal["torso", "chest", "abdomen", "head-neck"],
        typer.Option("--region", help="Part of the patient that the scan shows."),
    ] = "torso",
    overwrite: Overwrite = False,
) -> None:
    """Draw synthetic CT scans with known anatomy: image, label map and truth.

    Writes phantom_SEED_ct.nii.gz (HU), phantom_SEED_labels.nii.gz (global class ids)
    and phantom_SEED.json (patient, scan, volume of each structure).

    Example: vista3d phantom -o demo --seed 7 --spacing 1.5
    """
    from vista3d.cli.writable import refuse_overwriting, require_writable
    from vista3d.phantom import make_phantom
    from vista3d.phantom.files import phantom_files, write_phantom

    size = _spacing(spacing)
    numbers = range(seed, seed + count)
    files = [path for number in numbers for path in phantom_files(output, number)]
    refuse_overwriting(files, [], allowed=overwrite)
    require_writable(output)
    for number in numbers:
        volume, labels = make_phantom(number, spacing=size, fov=region)
        for path in write_phantom(output, number, volume, labels, region):
            typer.echo(str(path))


def _spacing(text: str) -> tuple[float, float, float]:
    from vista3d.errors import UsageError

    try:
        parts = [float(part) for part in text.replace("x", ",").split(",")]
        x, y, z = parts * 3 if len(parts) == 1 else parts
    except ValueError:
        msg = f"--spacing {text!r} is not of the form 2.5,2.5,3 (mm)"
        raise UsageError(msg) from None
    return x, y, z
