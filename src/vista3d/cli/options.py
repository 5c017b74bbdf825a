"""Options that several commands have: the same name, letter, values and words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Model = Annotated[
    str,
    typer.Option("--model", "-m", help="mini, official, official-ctmr, or a checkpoint file."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Runtime = Annotated[
    Literal["auto", "torch", "openvino"],
    typer.Option("--runtime", help="What computes the network."),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    typer.Option("--precision", help="Of the network's numbers; auto: what the device is fast at."),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        show_default=False,
        help="nifti (default), per-class, seg.nrrd, stl, and of DICOM series dicom-seg, "
        "dicom-labelmap or rtstruct; repeatable.",
    ),
]
Statistics = Annotated[
    bool,
    typer.Option(
        "--statistics", "-s", help="Also write volume (mL), HU, place and size as JSON and CSV."
    ),
]
Preview = Annotated[
    bool, typer.Option("--preview", "-p", help="Also write a picture of three planes.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Of all that is random; splits do not depend on it.")
]
Mapping = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        show_default=False,
        help="Mapping file: what labels mean (docs/data.md). Default: the shipped one.",
    ),
]
LabelMap = Annotated[
    str,
    typer.Option(
        "--map",
        show_default=False,
        help="What labels mean, as for 'finetune': '1:liver,2:my tumour'.",
    ),
]
SplitName = Annotated[str, typer.Option("--split", help="train, validation, test or all.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", show_default=False, help="Folder of prepared scans. Default: in the run folder."
    ),
]
CacheGb = Annotated[
    float,
    typer.Option(
        "--cache-gb",
        min=0.0,
        max=1e6,
        help="That it may hold; beyond, what was read longest ago goes.",
    ),
]

Series = Annotated[
    str | None,
    typer.Option(
        "--series",
        show_default=False,
        metavar="UID",
        help="SeriesInstanceUID to read of a DICOM folder with several; default: the largest.",
    ),
]
