"""Dice of a model on the held-out OpenKBP patients, on the original grid.

A patient counts for an organ only where the organ was drawn. The slices that were blanked outside
the planned region (-1000 HU) count too: an organ drawn where there is no image is an error of the
label that no model can repair, and it is left in.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks validation", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="mini")
    parser.add_argument("--limit", type=int, help="Only the first N patients.")
    parser.add_argument(
        "--everything", action="store_true",
        help="Prompt all classes of the model. Default: the data set's own, as the paper does.",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)

    import vista3d
    from vista3d import anatomy, volume
    from vista3d.training.data.case import to_global
    from vista3d.training.data.cases import read_cases

    model = vista3d.load(options.model)
    scores: dict[int, list[float]] = defaultdict(list)
    cases = read_cases(options.data / "Dataset101_OpenKBP", "validation")[: options.limit]
    for case in cases:
        if case.image is None:
            continue
        truth = to_global(np.asarray(volume.read(case.label).array), case.mapping)
        drawn = sorted(set(np.unique(truth).tolist()) & case.annotated)
        prompts = "everything" if options.everything else sorted(case.annotated)
        labels = model.segment(case.image, prompts).labels
        for class_id in drawn:
            a, b = truth == class_id, labels == class_id
            scores[class_id].append(float(2 * (a & b).sum() / (a.sum() + b.sum())))
    rows = [
        {
            "structure": anatomy.by_id(class_id).name,
            "patients": len(values),
            "mean": float(np.mean(values)),
            "median": float(np.median(values)),
            "worst": float(np.min(values)),
        }
        for class_id, values in sorted(scores.items())
    ]
    print("| structure | patients | mean Dice | median | worst |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['structure']} | {row['patients']} | {row['mean']:.3f} | {row['median']:.3f} | "
            f"{row['worst']:.3f} |"
        )
    target = [r["mean"] for r in rows if r["structure"] != "esophagus"]
    print(f"\ncord, brain stem and parotids: mean {np.mean(target):.3f} ({len(cases)} patients)")
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1))
