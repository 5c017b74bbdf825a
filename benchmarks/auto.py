"""Automatic segmentation end to end: the released pipeline on MONAI against ours.

Same scan, same random weights from a file, each contender in a process of its own, interleaved;
medians of the time from reading the scan to the written mask, with the model loaded. The conversion
for OpenVINO happens once per machine and is done, and timed, beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import CONFIGS, write_weights
from benchmarks.machine import describe, in_subprocess

CASE = Path("../shared/data/Dataset103_TorsoPseudo/imagesTr/lidc_0001_0000.nii.gz")
CONTENDERS = (
    "monai-fp32",
    "ours-openvino-fp32-bundle",
    "ours-openvino-bf16-bundle",
    "ours-openvino-bf16-default",
    "ours-torch-fp32-bundle",
    "monai-bf16",
)
"""The first one is what the others are compared with. `bundle` does the same work as the released
pipeline, window for window; `default` crops to the body and places windows its own way."""


def mean_dice(one: np.ndarray, other: np.ndarray) -> float:
    """Mean Dice over the classes that occur in either label map."""
    scores = []
    for class_id in np.union1d(np.unique(one), np.unique(other)):
        if class_id:
            a, b = one == class_id, other == class_id
            scores.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    return float(np.mean(scores)) if scores else 1.0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks auto", description=__doc__)
    parser.add_argument("--case", type=Path, default=CASE)
    parser.add_argument(
        "--config", choices=tuple(CONFIGS), default="official",
        help="Sizes of the network; with mini, MONAI's pipeline runs our network.",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument(
        "-o", "--output", type=Path, help="Write the results as JSON, and as Markdown beside it."
    )
    options = parser.parse_args(arguments)
    names = options.contenders.split(",")
    with tempfile.TemporaryDirectory() as folder:
        report = _run(names, options.case, options.config, options.repeats, Path(folder))
    table = as_markdown(report)
    print(f"\n{table}")
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n")
        options.output.with_suffix(".md").write_text(table)


def _run(names: list[str], case: Path, config: str, repeats: int, folder: Path) -> dict[str, Any]:
    write_weights(folder, config)
    # Converted networks go to the temporary folder, too.
    os.environ["VISTA3D_HOME"] = str(folder)
    conversion = {
        name: in_subprocess("benchmarks.convert", name, str(folder / "weights.safetensors"))
        for name in sorted({x.rsplit("-", 1)[0] for x in names if x.startswith("ours-openvino")})
    }
    outs = {name: folder / f"{name}.nii.gz" for name in names}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            result = in_subprocess(
                "benchmarks.contenders", name, str(case), str(outs[name]), str(folder)
            )
            results[name].append(result)
            line = f"{name}: {result['seconds']:.1f} s, {result['peak_gib']:.2f} GiB"
            print(line, file=sys.stderr, flush=True)
    return {
        "machine": describe(),
        "case": case.name,
        "config": config,
        "repeats": repeats,
        "conversion": conversion,
        "rows": _rows(names, results, outs),
        "runs": results,
    }


def _rows(
    names: list[str], results: dict[str, list[dict[str, Any]]], outs: dict[str, Path]
) -> list[dict[str, Any]]:
    """Medians and largest peaks relative to the first contender, and Dice with its labels."""
    import nibabel as nib

    labels = {name: np.asarray(nib.load(outs[name]).dataobj).astype(np.uint8) for name in names}
    seconds = {name: statistics.median(r["seconds"] for r in results[name]) for name in names}
    peaks = {name: max(r["peak_gib"] for r in results[name]) for name in names}
    reference = names[0]
    return [
        {
            "name": name,
            "seconds": seconds[name],
            "speedup": seconds[reference] / seconds[name],
            "loading_seconds": statistics.median(r["loading_seconds"] for r in results[name]),
            "peak_gib": peaks[name],
            "memory_share": peaks[name] / peaks[reference],
            "dice": mean_dice(labels[reference], labels[name]),
            "agreement": float((labels[reference] == labels[name]).mean()),
            "classes": len(np.unique(labels[name])) - 1,
        }
        for name in names
    ]


def as_markdown(report: dict[str, Any]) -> str:
    """The machine in a line, then a table."""
    lines = [
        f"{report['case']}, {report['config']} sizes, random weights, {report['repeats']} repeats.",
        ", ".join(f"{key} {value}" for key, value in report["machine"].items()),
        "",
        "| contender | seconds | speed-up | peak GiB | of first | mean Dice | same label |"
        " classes | loading s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['seconds']:.1f} | {row['speedup']:.2f}x | {row['peak_gib']:.2f} | "
        f"{row['memory_share']:.2f} | {row['dice']:.4f} | {row['agreement']:.4f} | "
        f"{row['classes']} | {row['loading_seconds']:.1f} |"
        for row in report["rows"]
    ]
    for name, result in report["conversion"].items():
        lines.append(f"\nFirst load of {name} (conversion): {result['seconds']:.1f} s, "
                     f"{result['peak_gib']:.2f} GiB.")  # fmt: skip
    return "\n".join(lines) + "\n"
