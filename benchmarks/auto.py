"""Automatic segmentation end to end: the released pipeline on MONAI against ours.

Same scan, same random weights, each contender in a process of its own, interleaved; medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, in_subprocess

CASE = Path("../shared/data/Dataset103_TorsoPseudo/imagesTr/lidc_0001_0000.nii.gz")
CONTENDERS = (
    "monai-fp32",
    "ours-torch-fp32-bundle",
    "ours-openvino-fp32-bundle",
    "ours-openvino-bf16-bundle",
    "ours-openvino-bf16-default",
)


def mean_dice(one: np.ndarray, other: np.ndarray) -> float:
    """Mean Dice over the classes that occur in either label map."""
    scores = []
    for class_id in np.union1d(np.unique(one), np.unique(other)):
        if class_id:
            a, b = one == class_id, other == class_id
            scores.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    return float(np.mean(scores))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks auto", description=__doc__)
    parser.add_argument("--case", type=Path, default=CASE)
    parser.add_argument("--config", choices=("official", "mini"), default="official")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("-o", "--output", type=Path, help="Write the results as JSON.")
    options = parser.parse_args(arguments)
    names = options.contenders.split(",")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        outs = {name: Path(folder) / f"{name}.nii.gz" for name in names}
        for _ in range(options.repeats):
            for name in names:
                result = in_subprocess(
                    "benchmarks.contenders", name, str(options.case), str(outs[name]),
                    options.config,
                )  # fmt: skip
                seconds[name].append(result["seconds"])
                peaks[name] = max(peaks.get(name, 0), result["peak_gib"])
                print(
                    f"{name}: {result['seconds']:.1f} s, {result['peak_gib']:.2f} GiB", flush=True
                )
        rows = _rows(names, seconds, peaks, outs)
    report = {"machine": describe(), "case": options.case.name, "rows": rows}
    print(f"\n{report['machine']}\n\n| contender | seconds | speed-up | peak GiB | Dice |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['name']} | {row['seconds']:.1f} | {row['speedup']:.1f}x | "
            f"{row['peak_gib']:.2f} | {row['dice']:.4f} |"
        )
    if options.output:
        options.output.write_text(json.dumps(report, indent=1))


def _rows(
    names: list[str],
    seconds: dict[str, list[float]],
    peaks: dict[str, float],
    outs: dict[str, Path],
) -> list[dict[str, float | str]]:
    """Medians relative to the first contender, and Dice with its labels."""
    import nibabel as nib

    labels = {name: np.asarray(nib.load(outs[name]).dataobj).astype(np.uint8) for name in names}
    reference = names[0]
    return [
        {
            "name": name,
            "seconds": statistics.median(seconds[name]),
            "speedup": statistics.median(seconds[reference]) / statistics.median(seconds[name]),
            "peak_gib": peaks[name],
            "dice": mean_dice(labels[reference], labels[name]),
        }
        for name in names
    ]
