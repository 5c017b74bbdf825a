"""`vista3d train` on real files: all four stages, resumed, and the model that comes out."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

import vista3d
from tests.training.recipes import AUTO, POINTS, TINY
from vista3d.cli.main import main
from vista3d.network.checkpoint import read_checkpoint
from vista3d.training import recipe as recipes

MAPPING = {"datasets": {"Dataset001_Made": {"labels": {"organ": "liver", "other": "spleen"}}}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four scans of 40 x 40 x 40 voxels of 4 mm in nnU-Net raw layout."""
    folder = tmp_path / "data" / "Dataset001_Made"
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    for number in range(8):
        rng = np.random.default_rng(number)
        labels = np.zeros((40, 40, 40), np.uint8)
        labels[6:20, 10:28, 12:28] = 1
        labels[24:34, 10:28, 12:28] = 2
        hu = np.full(labels.shape, -80.0) + 10 * rng.standard_normal(labels.shape)
        hu[labels == 1] += 140
        hu[labels == 2] += 200
        hu[:2] = hu[-2:] = -1000
        image = nib.Nifti1Image(hu.astype(np.int16), affine)
        nib.save(image, folder / "imagesTr" / f"case{number}_0000.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"case{number}.nii.gz")
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "organ": 1, "other": 2},
        "numTraining": 8,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))
    return tmp_path / "data"


TINY_MINI = recipes.Recipe(
    "mini",
    TINY,
    4.0,
    (
        replace(AUTO, name="1", steps=3, lesions=0.5),
        replace(AUTO, name="2", steps=2, sampling="datasets"),
        replace(POINTS, name="3", steps=2, supervoxels=True, lead_in=1),
        replace(POINTS, name="4", steps=2),
    ),
    segments=20,
    ema=0.9,
)
"""The four stages of the mini recipe, at sizes for a test."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mini` is `TINY_MINI`."""
    monkeypatch.setitem(recipes.RECIPES, "mini", TINY_MINI)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["train", *arguments])
    return int(stop.value.code or 0)


def test_four_stages_make_a_model(
    data: Path, tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "run"
    arguments = ("--data", str(data), "--mapping", str(tmp_path / "mapping.json"), "-o", str(out))
    assert run(*arguments, "--device", "cpu") == 0
    assert "done" in capsys.readouterr().out
    for stage in "1234":
        assert (out / stage / "log.csv").is_file()
    model = vista3d.load(out / "model.safetensors", runtime="torch", precision="fp32")
    assert {1, 3} <= set(model.meta.classes)
    assert [s["stage"] for s in model.meta.provenance["stages"]] == list("1234")
    assert model.meta.point_context == (48, 48, 48)
    scan = data / "Dataset001_Made" / "imagesTr" / "case0_0000.nii.gz"
    assert model.segment(scan, ["liver"]).labels.shape == (40, 40, 40)
    session = model.session(scan)
    session.click((12, 18, 20), space="voxel")
    # Clicks go on from a model that has learned them: the head is not started anew.
    more = tmp_path / "more"
    start = ("--initial", str(out / "model.safetensors"), "--stages", "3", "-o", str(more))
    assert run(*arguments[:4], *start, "--device", "cpu") == 0
    code = "point_head.pe_layer.positional_encoding_gaussian_matrix"
    later = vista3d.load(more / "model.safetensors", runtime="torch", precision="fp32")
    now, before = (m.network.state_dict()[code] for m in (later, model))
    assert torch.equal(now, before)
    # Again: nothing is left to do, and nothing changes.
    before = (out / "model.safetensors").read_bytes()
    assert run(*arguments, "--device", "cpu") == 0
    assert (out / "model.safetensors").read_bytes() == before
    # Another seed is another run.
    assert run(*arguments, "--device", "cpu", "--seed", "5") == 2
    refused = capsys.readouterr().err
    assert "other seed: choose another folder" in refused
    assert f"or go on from it: --initial {out / 'model.safetensors'} -o NEW" in refused


def test_a_cache_that_is_too_small(
    data: Path, tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ("--mapping", str(tmp_path / "mapping.json"), "-o", str(tmp_path / "run"))
    assert run("--data", str(data), *arguments, "--device", "cpu", "--cache-gb", "1e-6") == 4
    assert "may hold 0.0 MB: allow more (--cache-gb)" in capsys.readouterr().err


def test_pseudo_labels_are_trained_on(data: Path, tiny: None, tmp_path: Path):
    """A class that only a teacher labelled: its row of the class table learns, no other new one."""
    aorta, never = 6, 4
    folder = tmp_path / "pseudo" / "Dataset001_Made"
    folder.mkdir(parents=True)
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[10:30, 30:36, 5:35] = aorta
    for number in range(8):
        path = folder / f"case{number}.nii.gz"
        nib.save(nib.Nifti1Image(labels, np.diag([4.0, 4.0, 4.0, 1.0])), path)
        (folder / f"case{number}.json").write_text('{"reliable": true, "trusted": [6]}')
    common = ("--data", str(data), "--mapping", str(tmp_path / "mapping.json"), "--stages", "1")
    classes, rows = [], []
    for name, more in (("with", ("--pseudo", str(folder.parent))), ("without", ())):
        out = tmp_path / name
        assert run(*common, *more, "-o", str(out), "--device", "cpu") == 0
        classes.append(read_checkpoint(out / "model.safetensors")[1].classes)
        state = torch.load(out / "1" / "state.pt", weights_only=True)
        rows.append(state["average"]["class_head.class_embeddings.weight"])
    assert aorta in classes[0]
    assert aorta not in classes[1]
    taught, alone = rows
    assert not torch.equal(taught[aorta], alone[aorta])
    assert torch.equal(taught[never], alone[never])


def test_the_stages_are_shown(data: Path, capsys: pytest.CaptureFixture[str]):
    assert run("--data", str(data), "--recipe", "paper", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "4-auto-balanced" in shown
    assert "2e-05" in shown


def test_some_stages_only(data: Path, capsys: pytest.CaptureFixture[str]):
    assert run("--data", str(data), "--stages", "5,4", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert shown.index("4-points-supervoxels") < shown.index("5-points")
    assert "auto" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "maxi", "-o", "x"), "unknown recipe"),
        (("--share", "2", "-o", "x"), "--share"),
        (("--stages", "3,9", "-o", "x"), "--stages '3,9' must name stages 1 to 5"),
        (("--stages", "last", "-o", "x"), "such as 3,4"),
        ((), "-o RUN is missing"),
    ],
)
def test_wrong_arguments(data: Path, arguments, message, capsys: pytest.CaptureFixture[str]):
    assert run("--data", str(data), *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged; the level of the training is what it is before any command."""
    caplog.set_level(logging.NOTSET, logger="vista3d.training")
    return caplog


def test_a_run_says_how_far_it_is_and_where_it_goes_on(
    data: Path, tiny: None, tmp_path: Path, quiet: pytest.LogCaptureFixture
):
    mapping = ("--mapping", str(tmp_path / "mapping.json"), "--stages", "1", "--device", "cpu")
    arguments = ("--data", str(data), *mapping, "-o", str(tmp_path / "run"))
    assert run(*arguments, "--minutes", "0") == 0
    assert "out of time at step 1 of 3" in quiet.text
    quiet.clear()
    assert run(*arguments) == 0
    assert "stage 1 goes on at step 1" in quiet.text
    assert "1 step 3: loss" in quiet.text


def test_only_the_first_process_speaks(
    data: Path, tmp_path: Path, quiet: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    other = SimpleNamespace(is_global_zero=False)
    monkeypatch.setattr("vista3d.training.recipe_run.make_fabric", lambda *_: other)
    monkeypatch.setattr("vista3d.training.recipe_run.run_recipe", lambda *_, **__: True)
    assert run("--data", str(data), "-o", str(tmp_path / "run")) == 0
    assert logging.getLogger("vista3d.training").level == logging.NOTSET


def test_a_dry_run_says_what_would_be_learned_from(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for file in data.rglob("*.nii.gz"):
        file.write_bytes(b"")  # volumes are not read
    assert run("--data", str(data), "--mapping", str(tmp_path / "mapping.json"), "--dry-run") == 0
    shown = capsys.readouterr().out
    assert shown.index("learning_rate") < shown.index("Dataset001_Made, train: ")
    counts = {
        line.split(",")[1].split(":")[0].strip(): int(line.split(": ")[1].split()[0])
        for line in shown.splitlines()
        if line.startswith("Dataset001_Made")
    }
    assert counts.keys() == {"train", "validation"}
    assert 0 < sum(counts.values()) <= 8
    assert "2 classes (liver, spleen)" in shown


def test_a_dry_run_of_labels_without_meaning_says_so(
    data: Path, capsys: pytest.CaptureFixture[str]
):
    assert run("--data", str(data), "--dry-run") == 0
    assert "no class: `vista3d data table`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("data", "'/nonexistent' does not exist"),
        ("label", "has no label 'organic'"),
        ("weight", "scans to train on has labels and a weight above 0"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(
    data: Path, tmp_path: Path, wrong: str, message: str, capsys: pytest.CaptureFixture[str]
):
    rules = {"label": {"labels": {"organic": "liver"}}, "weight": {"weight": 0}}.get(wrong, {})
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps({"datasets": {"Dataset001_Made": rules} if rules else {}}))
    place = "/nonexistent" if wrong == "data" else str(data)
    arguments = ("--data", place, "--mapping", str(file))
    assert run(*arguments, "--dry-run") == 4
    said = capsys.readouterr()
    assert message in said.err
    assert not said.out
    assert run(*arguments, "-o", str(tmp_path / "run"), "--device", "cpu") == 4
    assert capsys.readouterr().err == said.err
