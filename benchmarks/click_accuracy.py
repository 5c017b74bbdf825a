"""Dice after 1, 2, 3, 5 and 10 simulated clicks on held-out patients.

Policy: the centre of the object first, then the centre of the largest wrong region (see
`vista3d.evaluation.simulated_clicks`). Scans are never training cases: validation patients of
OpenKBP, and the sarcoma set, which is not trained on at all. `novel` structures are never training
targets. `auto +` starts from the automatic result and corrects it by Alg. 1.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from vista3d import anatomy
from vista3d.evaluation.simulated_clicks import first_click, next_click
from vista3d.inference import InteractiveSession, Model, load
from vista3d.training.data.cases import dataset_cases
from vista3d.training.data.layouts import find_listings
from vista3d.training.data.mapping import shipped_mapping
from vista3d.volume import read

CLICKS = (1, 2, 3, 5, 10)
NOVEL = ("mandible", "larynx", "tumour")
SETS = ("Dataset101_OpenKBP", "Dataset102_SoftTissueSarcoma")


def cases(data: Path, count: int) -> list[tuple[Path, Path, dict[str, int]]]:
    """(image, labels, local label values) of held-out patients: `count` of each data set."""
    out = []
    for name in SETS:
        (listing,) = find_listings(data / name)
        held = dataset_cases(listing, shipped_mapping(), "validation")
        files = [(case.image, case.label) for case in held]
        pairs = [
            (image, label) for image, label in files if image is not None and label is not None
        ]
        out += [(image, label, dict(listing.labels)) for image, label in pairs[:count]]
    return out


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Of two bool arrays, `truth` not empty."""
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def clicked(
    session: InteractiveSession, target: int, truth: np.ndarray, most: int, from_mask: bool
) -> list[float]:
    """Dice before any click (where there is a mask) and after each click."""
    spacing = session.volume.geometry.spacing
    found = session.mask(target)
    scores = [dice(found, truth)] if from_mask else []
    for _ in range(most):
        click = next_click(truth, found, spacing) if found.any() else first_click(truth, spacing)
        if click is not None:
            session.click(click.position, click.positive, space="voxel", object_id=target)
            found = session.mask(target)
        scores.append(dice(found, truth))
    return scores


def measure(model: Model, data: Path, count: int, most: int) -> dict[str, list[list[float]]]:
    """Row name -> one list of scores per object."""
    rows: dict[str, list[list[float]]] = defaultdict(list)
    for image, label, labels in cases(data, count):
        volume = read(image)
        truth = np.asarray(read(label).array)
        session = model.session(volume, overlap="allow overlap")
        ids = anatomy.dataset_ids({k: v for k, v in labels.items() if k not in NOVEL})
        for name, value in labels.items():
            mask = truth == value
            if mask.sum() < 20:
                continue
            class_id = ids.get(value)
            kind = "novel" if class_id is None else "known"
            target = session.add_object(name, class_=class_id)
            rows[f"{kind} {name}"].append(clicked(session, target, mask, most, from_mask=False))
            if class_id is not None and class_id in model.meta.classes:
                session.remove_object(target)
                for made in session.run_automatic([class_id]):
                    scores = clicked(session, made, mask, 5, from_mask=True)
                    rows[f"auto + {name}"].append(scores)
            session.reset()
    return rows


def table(rows: dict[str, list[list[float]]]) -> str:
    """Means as markdown."""
    lines = ["| structure | objects | 0 | " + " | ".join(map(str, CLICKS)) + " |"]
    lines.append("|---" * (3 + len(CLICKS)) + "|")

    def line(name: str, scores: list[list[float]], offset: int) -> str:
        mean = np.mean(np.array(scores), 0)
        cells = ["" if offset else f"{mean[0]:.3f}"]
        for clicks in CLICKS:
            at = clicks - offset
            cells.append(f"{mean[at]:.3f}" if at < len(mean) else "")
        return f"| {name} | {len(scores)} | " + " | ".join(cells) + " |"

    for kind, offset in (("known", 1), ("novel", 1), ("auto +", 0)):
        group = {name: s for name, s in sorted(rows.items()) if name.startswith(kind)}
        lines += [line(name, scores, offset) for name, scores in group.items()]
        if group:
            lines.append(line(f"**{kind}, all**", [s for g in group.values() for s in g], offset))
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks click_accuracy", description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cases", type=int, default=12, help="patients of each data set")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    model: Any = load(options.model)
    rows = measure(model, options.data, options.cases, options.clicks)
    print(table(rows))
    print(f"{time.perf_counter() - started:.0f} s, {describe()}")
    if options.json is not None:
        options.json.write_text(json.dumps(rows))
