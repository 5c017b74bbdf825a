"""Few-shot study, in the design of the paper's Table 3: how good is a new structure after k scans?

Three ways to a model, each with the same scans and the same time on the same machine: wall time
where nothing else runs there, or the CPU time of the training process (`--clock cpu`) where
something does; the load, wall and CPU seconds of every cell are recorded.

    finetune  the shipped model, `vista3d finetune` at its defaults
    scratch   the same network, plan, loop and time, from random weights; the learning rate of the
              recipe that trains such networks from scratch (1e-3)
    nnunet    nnU-Net v2 from its own package in an environment of its own, which this script makes;
              its own plan (for 2 GB), all scans, its loop cut into time-limited epochs

The structure must be one that the shipped model never saw: the mandible of OpenKBP. Scans to learn
from are the first k patients of the training split in which it is drawn, test scans come from
patients of the other split. Dice on the original grid; an empty prediction counts 0.

FOLDER/study.json     what is asked; a folder of another question is refused
FOLDER/k<cases>/data/     the scans as an nnU-Net raw data set, by links, mandible = 1
FOLDER/<method>_k<cases>.json     a finished cell; the table is made of these, a rerun skips them

Weights made here are for this comparison and are not shipped: the corpus keeps the mandible as a
novel structure.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

METHODS = ("finetune", "scratch", "nnunet")
NNUNET = "nnunetv2==2.8.1"
NAMES = {"finetune": "fine-tuned", "scratch": "from scratch", "nnunet": "nnU-Net v2"}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks few_shot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/Dataset101_OpenKBP"))
    parser.add_argument("--label", default="mandible", help="Its name in dataset.json.")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--cases", default="1,5,10,20,all")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--minutes", type=float, default=20.0, help="Of training, each cell.")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--test", type=int, default=20, help="Scans.")
    parser.add_argument("--seed", type=int, default=0, help="Of our own two; a folder each.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    learn, test = split(options.data, options.label, options.test)
    counts = [len(learn) if c == "all" else int(c) for c in options.cases.split(",")]
    options.output.mkdir(parents=True, exist_ok=True)
    claim_study(options)
    for count in counts:
        for method in options.methods.split(","):
            cell = options.output / f"{method}_k{count}.json"
            if not cell.is_file():
                run_cell(method, learn[:count], test, options, cell)
            print(table(options.output), flush=True)


def claim_study(options: argparse.Namespace) -> None:
    """A folder is of one question: its finished cells are not those of another one.

    Raises:
        UsageError: the folder is of another question; names what differs.
    """
    from lightning_fabric import Fabric

    from vista3d.training.run_folder import claim

    names = ("data", "label", "model", "minutes", "clock", "test", "seed")
    asked = {name: str(getattr(options, name)) for name in names}
    claim(options.output / "study.json", asked, Fabric(accelerator="cpu", devices=1))


def split(data: Path, label: str, tests: int) -> tuple[list[str], list[str]]:
    """Names of the scans to learn from and to test on, those in which the structure is drawn."""
    from vista3d import volume
    from vista3d.training.data.cases import dataset_cases
    from vista3d.training.data.layouts import find_listings
    from vista3d.training.data.mapping import shipped_mapping

    (listing,) = find_listings(data)
    value = listing.labels[label]

    def drawn(part: str) -> list[str]:
        cases = dataset_cases(listing, shipped_mapping(), part)  # type: ignore[arg-type]
        return [c.name for c in cases if (volume.read(c.label).array == value).any()]

    return drawn("train"), drawn("validation")[:tests]


def run_cell(
    method: str, names: list[str], test: list[str], options: argparse.Namespace, cell: Path
) -> None:
    """Train and test one cell in a process of its own, and write its JSON."""
    folder = options.output / f"k{len(names)}"
    raw = make_data(options.data, options.label, names, folder / "data" / "Dataset900_FewShot")
    job = {
        "method": method, "raw": str(raw), "run": str(folder / method),
        "minutes": options.minutes, "model": options.model, "clock": options.clock,
        "seed": options.seed,
        "test": {n: str(options.data.resolve() / f"imagesTr/{n}_0000.nii.gz") for n in test},
    }  # fmt: skip
    note = folder / f"{method}.job.json"
    note.write_text(json.dumps(job))
    python, script = sys.executable, "benchmarks.few_shot"
    if method == "nnunet":
        python, script = str(nnunet_python(options.output)), "benchmarks.few_shot_nnunet"
    load, began = os.getloadavg()[0], time.time()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [python, "-m", script, str(note)]
    if method != "nnunet":
        command = [python, "-c", f"from benchmarks.few_shot import ours; ours({str(note)!r})"]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    scores = score(options.data, options.label, Path(job["run"]) / "found", test)
    result = {
        "method": method, "cases": len(names), "minutes": options.minutes, "clock": options.clock,
        "seed": options.seed,
        "dice": scores, "mean": float(np.mean(list(scores.values()))),
        "load_average_before": load, "wall_seconds": time.time() - began,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        **json.loads((Path(job["run"]) / "about.json").read_text()),
    }  # fmt: skip
    partial = cell.with_suffix(".part")
    partial.write_text(json.dumps(result, indent=1))
    partial.replace(cell)


def make_data(data: Path, label: str, names: list[str], raw: Path) -> Path:
    """The scans as a data set of their own, in which the structure is the only label."""
    import nibabel as nib

    for part in ("imagesTr", "labelsTr"):
        (raw / part).mkdir(parents=True, exist_ok=True)
    value = json.loads((data / "dataset.json").read_text())["labels"][label]
    for name in names:
        link = raw / "imagesTr" / f"{name}_0000.nii.gz"
        if not link.exists():
            link.symlink_to((data / "imagesTr" / link.name).resolve())
        truth = nib.load(data / "labelsTr" / f"{name}.nii.gz")
        mask = (np.asanyarray(truth.dataobj) == value).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, truth.affine), raw / "labelsTr" / f"{name}.nii.gz")
    about = {
        "channel_names": {"0": "CT"}, "labels": {"background": 0, label: 1},
        "numTraining": len(names), "file_ending": ".nii.gz",
    }  # fmt: skip
    (raw / "dataset.json").write_text(json.dumps(about))
    return raw


def ours(note: str) -> None:
    """The two cells of our own network."""
    import nibabel as nib

    import vista3d
    from vista3d.training.finetuning.job import Request, plan_job

    job = json.loads(Path(note).read_text())
    run, raw = Path(job["run"]), Path(job["raw"])
    base = vista3d.load(job["model"], runtime="torch", precision="fp32")
    scratch = job["method"] == "scratch"
    asked = Request(
        map="1:new:structure",
        minutes=job["minutes"],
        learning_rate=1e-3 if scratch else None,
        seed=job["seed"],
    )
    plan = plan_job(asked, base.meta, raw, run, cache=raw.parent / "prepared")
    if job["clock"] == "cpu":
        plan = replace(plan, clock=time.process_time)
    weights = {key: value.cpu() for key, value in base.network.state_dict().items()}
    plan.run(None if scratch else weights)
    model = vista3d.load(run / "model.safetensors")
    (run / "found").mkdir(exist_ok=True)
    for name, path in job["test"].items():
        labels = model.segment(path, "everything").labels > 0
        image = nib.Nifti1Image(labels.astype(np.uint8), nib.load(path).affine)
        nib.save(image, run / "found" / f"{name}.nii.gz")
    steps = model.meta.provenance["stages"][0]["steps"]
    about = {"steps": steps, "spacing": model.meta.spacing[0], "patch": model.meta.window[0]}
    (run / "about.json").write_text(json.dumps(about))


def nnunet_python(output: Path) -> Path:
    """The Python of an environment with nnU-Net, made on first use."""
    venv = output / "nnunet-venv"
    python = venv / "bin" / "python"
    if not (venv / "ready").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pins = Path(__file__).parents[1] / "constraints.txt"
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "-c", str(pins), NNUNET], check=True
        )
        (venv / "ready").touch()
    return python.absolute()  # not resolved: that would be the base installation


def score(data: Path, label: str, found: Path, test: list[str]) -> dict[str, float]:
    """Dice of each test scan."""
    import nibabel as nib

    value = json.loads((data / "dataset.json").read_text())["labels"][label]
    scores = {}
    for name in test:
        a = np.asanyarray(nib.load(data / "labelsTr" / f"{name}.nii.gz").dataobj) == value
        b = np.asanyarray(nib.load(found / f"{name}.nii.gz").dataobj) > 0
        scores[name] = float(2 * (a & b).sum() / (a.sum() + b.sum()))
    return scores


def table(output: Path) -> str:
    """All finished cells as Markdown."""
    cells = [json.loads(path.read_text()) for path in output.glob("*_k*.json")]
    counts = sorted({cell["cases"] for cell in cells})
    lines = [
        "| cases | " + " | ".join(NAMES.values()) + " |",
        "|---|" + "---|" * len(NAMES),
    ]
    for count in counts:
        row = []
        for method in METHODS:
            cell = next((c for c in cells if (c["cases"], c["method"]) == (count, method)), None)
            row.append("" if cell is None else f"{cell['mean']:.3f} ({cell['steps']} steps)")
        lines.append(f"| {count} | " + " | ".join(row) + " |")
    minutes = sorted({f"{cell['minutes']:g}" for cell in cells})
    tests = sorted({len(cell["dice"]) for cell in cells})
    lines.append(
        f"\nMean Dice on {'/'.join(map(str, tests))} unseen patients after {'/'.join(minutes)} "
        f"minutes of training ({'/'.join(sorted({cell['clock'] for cell in cells}))} time)."
    )
    return "\n".join(lines)
