"""`vista3d supervoxels`: regions that follow anatomy, without any label (paper Alg. 2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vista3d.cli.options import Device, Overwrite, Preview
from vista3d.cli.writable import refuse_overwriting, require_writable
from vista3d.errors import UsageError

if TYPE_CHECKING:
    from vista3d.cli.settings import Listener
    from vista3d.supervoxels import Teacher
    from vista3d.supervoxels.sam import Precision

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
CLUSTERING, WRITING = 0.7, 0.95
"""Where these steps begin: shares of the time of a torso with the intensity teacher. They only
smooth the bar."""


def supervoxels(
    scan: Annotated[
        Path, typer.Argument(metavar="INPUT", show_default=False, help="A scan, as for 'segment'.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            show_default=False,
            help="Folder for the results, or a file: .nii .nii.gz .mha .nrrd.",
        ),
    ],
    teacher: Annotated[
        str,
        typer.Option(
            help="intensity (no weights), sam-vit-huge (the paper's; also -large, -base), the "
            "folder of a SAM checkpoint, or its name on the Hugging Face hub."
        ),
    ] = "intensity",
    segments: Annotated[
        int, typer.Option("--segments", "-n", min=1, help="Supervoxels wanted in the patient.")
    ] = 100,
    device: Device = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], typer.Option("--precision", help="Of SAM.")
    ] = "auto",
    preview: Preview = False,
    overwrite: Overwrite = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Cut a CT scan into supervoxels that follow anatomy.

    Example: vista3d supervoxels ct.nii.gz -o out --segments 300 --preview
    """
    from vista3d.cli.cases import one_case

    case = one_case(str(scan))
    target, picture = plan(out, case.name, preview=preview)
    results = [target] if picture is None else [target, picture]
    refuse_overwriting(results, [case.path], allowed=overwrite)
    require_writable(target.parent)

    from rich.console import Console

    from vista3d import supervoxels as room
    from vista3d.cli.progress import listen
    from vista3d.results import write_preview
    from vista3d.volume import check_ct, read, write_labels
    from vista3d.volume.writers import require_grid

    started = time.monotonic()
    console = Console(stderr=True)
    chosen = choose_teacher(teacher, device, precision)
    with listen(console, 1, quiet=quiet) as listener:
        listener.begin(case.name)
        listener.step("reading", 0.0)
        volume = check_ct(read(case.path))
        require_grid(target, volume.geometry)
        labels = room.supervoxels(volume, chosen, segments, progress=_steps(listener))
        listener.step("writing", WRITING)
        write_labels(target, labels, volume)
        if picture is not None:
            from vista3d.supervoxels.picture import draw_supervoxels

            write_preview(picture, draw_supervoxels(labels, volume, chosen.name))
    if not quiet:
        for warning in volume.meta.warnings:
            console.print(f"warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    seconds = time.monotonic() - started
    typer.echo(f"{target}: {int(labels.max())} supervoxels in {seconds:.1f} s")


def _steps(listener: Listener) -> Callable[[float], None]:
    """Features, and after them the clustering, as steps of a case."""

    def heard(fraction: float) -> None:
        if fraction < 1:
            listener.step("features", fraction * CLUSTERING)
        else:
            listener.step("clustering", CLUSTERING)

    return heard


def plan(out: Path, case: str, *, preview: bool) -> tuple[Path, Path | None]:
    """Where the labels and the picture go.

    Raises:
        UsageError: a file that cannot hold labels.
    """
    from vista3d.volume.nifti import stem

    named = out.name.lower().endswith(SUFFIXES) and not out.is_dir()
    if not named and out.suffix and not out.is_dir():
        msg = f"'{out.name}' cannot hold supervoxels: give a folder, or {', '.join(SUFFIXES)}"
        raise UsageError(msg)
    target = out if named else out / f"{case}_supervoxels.nii.gz"
    base = target.with_name(stem(target))
    return target, base.with_name(f"{base.name}_preview.png") if preview else None


def choose_teacher(name: str, device: str, precision: str) -> Teacher:
    """The teacher on a device of this machine.

    Raises:
        UsageError: an unknown device or precision.
        WeightsError: SAM, or its weights, cannot be loaded.
    """
    from vista3d.inference.runtimes import choose_device
    from vista3d.supervoxels import IntensityTeacher
    from vista3d.supervoxels.sam import load_sam

    place = choose_device(device)
    chosen = choose_precision(precision, place)
    if name == "intensity":
        return IntensityTeacher(place)
    return load_sam(name, device=place, precision=chosen)


def choose_precision(wanted: str, device: str) -> Precision:
    """ "auto" is bf16 where the device multiplies it itself, else fp16 on CUDA and fp32 elsewhere.

    Raises:
        UsageError: unknown.
    """
    if wanted in ("fp32", "bf16", "fp16"):
        return wanted  # type: ignore[return-value]
    if wanted != "auto":
        msg = f"unknown precision {wanted!r}: one of auto, fp32, bf16, fp16"
        raise UsageError(msg)
    if device.startswith("cuda"):
        import torch

        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    from vista3d.inference.runtimes import has_native_bf16

    return "bf16" if device == "cpu" and has_native_bf16() else "fp32"
