"""Steps, resumption, frozen parts, shared gradients."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.recipes import AUTO, POINTS, fabric, losses, recipe, start
from vista3d.errors import InputError
from vista3d.training.augmentation import Patch
from vista3d.training.automatic import prompt_losses
from vista3d.training.data.prepared import Prepared
from vista3d.training.examples import Example, Examples
from vista3d.training.learner import learn
from vista3d.training.prompts import ClassPrompts
from vista3d.training.stage_run import StageRun


def values(found: list[dict[str, float]], name: str = "loss") -> np.ndarray:
    return np.array([x.get(name, np.nan) for x in found])


@pytest.mark.parametrize(
    "stage", [AUTO, POINTS, replace(AUTO, optimiser="muon")], ids=["auto", "points", "muon"]
)
def test_a_killed_run_resumes_to_the_same_losses(stage, torso: Prepared, tmp_path: Path):
    whole = start(stage, tmp_path / "whole")
    expected = values(losses(whole, [torso], 6))
    first = start(stage, tmp_path / "cut")
    before = values(losses(first, [torso], 3))
    first.save()
    second = start(stage, tmp_path / "cut")
    assert second.step == 3
    after = values(losses(second, [torso], 6))
    np.testing.assert_allclose(np.concatenate([before, after]), expected, atol=1e-6)
    assert np.isfinite(expected).all()
    assert all(
        torch.allclose(second.average[name], value, atol=1e-6)
        for name, value in whole.average.items()
    )


def test_the_released_loss_is_the_mean_over_prompts(torso: Prepared, tmp_path: Path):
    """A present one counts like an absent one, and nothing competes (facts 3.3)."""
    stage = replace(AUTO, loss="released", max_rivals=0)
    run = start(stage, tmp_path)
    patch = Examples([torso], run.recipe, 0, 0, 6).example(0).patch
    shown = len(set(torch.unique(patch.labels).tolist()) & patch.annotated)
    asked = min(shown, stage.max_present), min(len(patch.annotated) - shown, stage.max_absent)
    assert min(asked) > 0
    found = learn(run.model, Example(patch), stage, np.random.default_rng(0), 1.0)
    expected = np.average([found["present"], found["absent"]], weights=asked)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_stage_is_validated_by_epochs(torso: Prepared, tmp_path: Path, monkeypatch):
    stage = replace(AUTO, steps=0, epochs=3, validate_epochs=1)
    run = StageRun(recipe(stage), 0, tmp_path, fabric(), stage.length(2))
    validated = []
    monkeypatch.setattr(run, "_validate", lambda held_out: validated.append(run.step) or {})
    run.fit([torso, torso], [torso])
    assert validated == [4, 8, 12]


def test_training_lowers_the_loss(torso: Prepared, tmp_path: Path):
    stage = replace(AUTO, steps=60, learning_rate=5e-3, warmup=5)
    found = values(losses(start(stage, tmp_path), [torso], 60))
    assert np.nanmean(found[-15:]) < 0.8 * np.nanmean(found[:15])


def test_clicks_are_learned(torso: Prepared, tmp_path: Path):
    stage = replace(POINTS, steps=100, patch=32, views=1, head_rate=5e-3, warmup=5)
    found = values(losses(start(stage, tmp_path), [torso], 100))
    assert np.nanmean(found[-25:]) < 0.93 * np.nanmean(found[:25])


@pytest.mark.parametrize(
    ("stage", "moves", "stays"),
    [
        (
            AUTO,
            "image_encoder.encoder.conv_init.weight",
            ("point_head.", "image_encoder.up_layers."),
        ),
        (
            POINTS,
            "image_encoder.up_layers.0.upsample.deconv.weight",
            ("image_encoder.encoder.", "class_head.", "image_encoder.up_layers_auto."),
        ),
    ],
    ids=["auto", "points"],
)
def test_frozen_parts_stay(stage, moves, stays, torso: Prepared, tmp_path: Path):
    run = start(stage, tmp_path)
    free = {name for name, p in run.model.named_parameters() if p.requires_grad}
    assert moves in free
    assert not any(name.startswith(stays) for name in free)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    losses(run, [torso], 2)
    now = run.model.state_dict()
    assert not torch.equal(now[moves], before[moves])
    for name, value in now.items():
        if name.startswith(stays):
            assert torch.equal(value, before[name]), name


def test_a_batch_of_two_is_the_mean_of_two(torso: Prepared, tmp_path: Path):
    """Gradient accumulation: the first step of a batch has the mean gradient of its examples."""
    stage = replace(AUTO, batch=2)
    run = start(stage, tmp_path / "two")
    weights = {k: v.clone() for k, v in run.model.state_dict().items()}
    both = losses(run, [torso], 1)[0]["loss"]
    alone = []
    for slot in range(2):
        one = start(stage, tmp_path / f"one{slot}", weights)
        example = Examples([torso], one.recipe, 0, 0, 6).example(0, slot)
        rng = np.random.default_rng([one.recipe.seed, 0, 0, slot, 1])
        alone.append(learn(one.model, example, stage, rng, 1.0)["loss"])
    assert both == pytest.approx(np.mean(alone), abs=1e-5)


@pytest.mark.parametrize("stage", [replace(AUTO, batch=2), replace(POINTS, batch=2)])
def test_a_step_that_is_not_finite_is_refused(stage, torso: Prepared, tmp_path: Path):
    """One bad example of a batch would be the end of all weights, without a word."""
    run = start(stage, tmp_path)
    losses(run, [torso], 1)
    good, bad = (Examples([torso], run.recipe, 0, 0, 6).example(1, slot) for slot in range(2))
    bad = replace(bad, patch=replace(bad.patch, hu=bad.patch.hu * torch.nan), scan="torso/burnt")
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    with pytest.raises(InputError, match=r"step 1: .* not finite, with torso/burnt\. The weights"):
        run.train_step([good, bad])
    assert all(torch.equal(v, before[k]) for k, v in run.model.state_dict().items())
    assert all(bool(torch.isfinite(v).all()) for v in run.average.values())
    assert run.step == 1
    assert np.isfinite(run.train_step([good, good])["loss"])


def test_examples_say_which_scan_they_are_of(torso: Prepared, tmp_path: Path):
    for stage in (AUTO, POINTS):
        example = Examples([torso], recipe(stage), 0, 0, 1).example(0)
        assert example.scan == f"{torso.case.source.name}/{torso.case.name}"


def test_a_rival_is_taught_only_where_it_is_known_to_be_absent(tmp_path: Path):
    run = start(AUTO, tmp_path)
    hu, labels = torch.zeros(32, 32, 32), torch.zeros(32, 32, 32, dtype=torch.int64)
    labels[:16] = 1
    prompts = ClassPrompts(torch.tensor([1, 7]), present=1, rivals=1)
    nowhere = Patch(hu, labels, frozenset({1}), torch.zeros(32, 32, 32, dtype=bool), frozenset({7}))
    found, _ = prompt_losses(run.model, nowhere, prompts, 0.5)
    assert found[1] < 1e-3
    known = replace(nowhere, decided=labels > 0)
    found, _ = prompt_losses(run.model, known, prompts, 0.5)
    assert found[1] > 0.1


def test_a_stage_writes_its_log_checkpoint_and_picture(torso: Prepared, tmp_path: Path):
    stage = replace(AUTO, steps=3)
    run = StageRun(recipe(stage), 0, tmp_path, fabric(), 3)
    run.fit([torso], [torso])
    assert run.done
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.reader(file))
    assert {"loss", "validation"} <= {name for _, name, _ in rows}
    assert (tmp_path / "validation_000003.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "stage.json").read_text())["steps"] == 3
    # A finished stage is not trained again.
    again = StageRun(recipe(stage), 0, tmp_path, fabric(), 3)
    again.fit([torso], [])
    assert again.step == 3


def test_a_stage_ends_when_a_validation_is_enough(torso: Prepared, tmp_path: Path):
    run = StageRun(recipe(replace(AUTO, steps=9, validate_every=2)), 0, tmp_path, fabric(), 9)
    heard = []
    run.fit([torso], [torso], enough=lambda found: heard.append(dict(found)) or len(heard) == 2)
    assert run.step == 4
    assert [set(found) for found in heard] == [{"validation"}] * 2
    # The checkpoint is that of the last step.
    assert StageRun(run.recipe, 0, tmp_path, fabric(), 9).step == 4


_PROCESS = """
import json, sys
from pathlib import Path
from dataclasses import replace
import torch
from lightning_fabric import Fabric
from tests.training.conftest import made_up
from tests.training.recipes import AUTO, POINTS, recipe
from vista3d.training.examples import Examples
from vista3d.training.stage_run import StageRun

processes, kind, out = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
torch.set_num_threads(1)
fabric = Fabric(accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto")
fabric.launch()
stage = replace(AUTO if kind == "auto" else POINTS, steps=3, batch=2 // processes)
run = StageRun(recipe(stage), 0, out / f"{processes}", fabric, 3)
examples = Examples([made_up()], run.recipe, 0, 0, 3, fabric.global_rank, processes)
if processes == 1:
    torch.save(run.model.state_dict(), out / "start.pt")
found = []
for step in range(3):
    slots = range(fabric.global_rank * stage.batch, (fabric.global_rank + 1) * stage.batch)
    found.append(run.train_step([examples.example(step, slot) for slot in slots])["loss"])
if fabric.is_global_zero:
    (out / f"{processes}.json").write_text(json.dumps(found))
    torch.save(run.model.state_dict(), out / f"{processes}.pt")
"""


@pytest.mark.parametrize("kind", ["auto", "points"])
def test_two_processes_learn_what_one_does(kind, tmp_path: Path):
    """DDP on the CPU (gloo), the same global batch of two: the same losses, step by step."""
    script = tmp_path / "run.py"
    script.write_text(_PROCESS)
    root = Path(__file__).parents[2]
    for processes in (1, 2):
        subprocess.run(
            [sys.executable, str(script), str(processes), kind, str(tmp_path)],
            check=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            timeout=200,
        )
    one, two = (json.loads((tmp_path / f"{n}.json").read_text()) for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-4)
    assert one[0] != one[1]
    alone, together = (torch.load(tmp_path / f"{n}.pt") for n in (1, 2))
    start = torch.load(tmp_path / "start.pt")
    for name, value in alone.items():
        if torch.equal(value, start[name]):  # nobody used it, and nobody may let it decay
            assert torch.equal(together[name], value), name
