"""Stages one after the other: a finished one stays as it is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tests.training.conftest import LIVER
from tests.training.recipes import AUTO, fabric, recipe
from vista3d.errors import InputError, UsageError, WeightsError
from vista3d.network.checkpoint import load_checkpoint
from vista3d.training.data.case import Case, DataSource, PseudoLabel
from vista3d.training.export import export, finished_stage
from vista3d.training.recipe_run import _LATER, _taking_part, make_fabric, run_recipe
from vista3d.training.stage_run import StageRun

TWO = recipe(replace(AUTO, name="one", steps=2), replace(AUTO, name="two", steps=2))


class ThreeProcesses(Fabric):
    """As if two others ran beside this one."""

    @property
    def world_size(self) -> int:
        return 3


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A liver in fat, 40^3 voxels of 4 mm."""
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[8:28, 10:28, 12:28] = 1
    hu = np.where(labels == 1, 60, -80).astype(np.int16)
    hu[:2] = -1000
    image, label = tmp_path / "ct.nii.gz", tmp_path / "label.nii.gz"
    for path, array in ((image, hu), (label, labels)):
        nib.save(nib.Nifti1Image(array, np.diag([4.0, 4.0, 4.0, 1.0])), path)
    return Case("a", "a", DataSource("Made"), image, label, {1: LIVER}, frozenset({LIVER}))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_finished_stage_stays_as_it_is_on_another_machine(case: Case, tmp_path: Path):
    out = tmp_path / "run"
    assert run_recipe(TWO, [case], [], out, fabric())
    first = contents(out / "one")
    shutil.rmtree(out / "two")
    other = ThreeProcesses(accelerator="cpu", devices=1)
    other.launch()
    assert run_recipe(TWO, [case], [], out, other)
    assert contents(out / "one") == first
    network, meta = load_checkpoint(out / "model.safetensors")
    assert [(s["stage"], s["batch"]) for s in meta.provenance["stages"]] == [("one", 1), ("two", 3)]
    # The second stage went on from the weights of the first.
    state = torch.load(out / "one" / "state.pt", weights_only=True)["average"]
    frozen = "point_head.pe_layer.positional_encoding_gaussian_matrix"
    half = state[frozen].half().float()  # as a model file stores it
    assert torch.equal(network.state_dict()[frozen], half)


def test_a_stage_that_was_stopped_goes_on(case: Case, tmp_path: Path):
    out = tmp_path / "run"
    assert not run_recipe(TWO, [case], [], out, fabric(), until=0.0)
    assert not (out / "one" / "model.json").exists()
    assert run_recipe(TWO, [case], [], out, fabric())
    assert (out / "two" / "model.json").exists()


def test_a_damaged_note_is_told(case: Case, tmp_path: Path):
    out = tmp_path / "run"
    (out / "one").mkdir(parents=True)
    (out / "one" / "model.json").write_text("{")
    with pytest.raises(WeightsError, match=r"one/model\.json is damaged"):
        run_recipe(TWO, [case], [], out, fabric())


def test_a_folder_is_for_the_same_scans_and_labels(case: Case, tmp_path: Path):
    out = tmp_path / "run"
    run_recipe(TWO, [case], [], out, fabric(), until=0.0)
    other = replace(case, name="b")
    with pytest.raises(UsageError, match="other labels, scans"):
        run_recipe(TWO, [case, other], [], out, fabric())
    with pytest.raises(UsageError, match="other labels: choose"):
        run_recipe(TWO, [replace(case, mapping={1: LIVER + 1})], [], out, fabric())
    assert run_recipe(TWO, [case], [], out, fabric())


def test_a_run_from_before_a_setting_came_goes_on(case: Case, tmp_path: Path):
    out = tmp_path / "run"
    assert not run_recipe(TWO, [case], [], out, fabric(), until=0.0)
    kept = json.loads((out / "recipe.json").read_text())
    assert not _LATER & set(kept["stages"][0])
    other = recipe(*(replace(stage, augmentation="released") for stage in TWO.stages))
    with pytest.raises(UsageError, match="other stages"):
        run_recipe(other, [case], [], out, fabric())


def test_the_best_weights_are_left(case: Case, tmp_path: Path, monkeypatch):
    """By the stage's own validations; the next stage starts from them, after a restart too."""
    scores = iter([0.5, 0.4, 0.501, 0.3])
    monkeypatch.setattr(StageRun, "_validate", lambda self, held_out: {"validation": next(scores)})
    kept = []
    monkeypatch.setattr(
        "vista3d.training.recipe_run.export",
        lambda run, *_: kept.append(run.average) or export(run, *_),
    )
    stage = replace(AUTO, name="one", steps=4, validate_every=1, keep_best=True)
    out = tmp_path / "run"
    assert run_recipe(recipe(stage), [case], [case], out, fabric())
    best = torch.load(out / "one" / "best.pt", weights_only=True)
    assert best["step"] == 3
    for weights in (kept[0], finished_stage(out / "one")[0]):
        assert all(torch.equal(weights[name], value) for name, value in best["average"].items())


def test_a_stage_may_leave_out_label_maps_and_what_only_a_teacher_labelled(
    case: Case, tmp_path: Path
):
    bare = replace(case, name="map", image=None)
    pseudo = PseudoLabel(case.label, frozenset({LIVER}))
    taught = replace(case, name="taught", label=None, annotated=frozenset(), pseudo=pseudo)
    cases = [case, bare, taught]
    stages = {
        (True, True): ["a", "map", "taught"],
        (False, True): ["a", "taught"],
        (True, False): ["a", "map"],
    }
    for (label_maps, by_teacher), names in stages.items():
        stage = replace(AUTO, label_maps=label_maps, taught=by_teacher)
        assert [one.name for one in _taking_part(cases, stage)] == names
    strict = recipe(replace(AUTO, label_maps=False, taught=False))
    with pytest.raises(InputError, match=r"auto trains on no label maps .* and pseudo-labels, and"):
        run_recipe(strict, [bare, taught], [], tmp_path / "run", fabric())


def test_nothing_to_learn_from_is_told(case: Case, tmp_path: Path):
    idle = replace(case, source=replace(case.source, weight=0.0))
    for cases in ([], [idle]):
        with pytest.raises(InputError, match=r"none of the \d scans to train on"):
            run_recipe(TWO, cases, [], tmp_path / "run", fabric())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("here", "machines", "everywhere", "asked", "message"),
    [
        (2, 1, 2, 1, "--processes 1, and torchrun started 2 on this machine: leave it out"),
        (2, 2, 3, None, "torchrun started 3 processes on 2 machines, 2 on this one: give --nproc"),
    ],
)
def test_torchrun_decides_how_many(
    here, machines, everywhere, asked, message, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said = {"LOCAL_WORLD_SIZE": here, "GROUP_WORLD_SIZE": machines, "WORLD_SIZE": everywhere}
    for name, value in {**said, "TORCHELASTIC_RUN_ID": "none"}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(UsageError, match=message):
        make_fabric("cpu", asked, tmp_path)
