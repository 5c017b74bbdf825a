"""From scans and masks to a model that finds the structure in a scan it never saw."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

import vista3d
from tests.training.finetuning.made import AFFINE, draw, make_dataset
from vista3d.errors import UnknownClassError, UsageError
from vista3d.network.checkpoint import read_checkpoint
from vista3d.training.finetuning import job, stages
from vista3d.training.finetuning.nearest import ROWS
from vista3d.training.stage_run import StageRun


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_a_new_structure_from_five_scans(base: Path, dataset: Path, tmp_path: Path):
    model = vista3d.finetune(
        base, dataset, "block:new:my tumour", tmp_path, cases=5, steps=60, learning_rate=5e-3,
        device="cpu",
    )  # fmt: skip
    assert model.meta.classes == (346,)
    assert model.meta.names == {346: "my tumour"}
    assert model.meta.licence.startswith("CC BY 4.0. Fine-tuned")
    assert set(model.meta.provenance["licences"]) == set(model.meta.provenance["training_cases"])
    hu, truth = draw(77)
    found = model.segment(hu, "My Tumour", affine=AFFINE)
    assert found.structures[0].name == "my tumour"
    assert dice(found.labels == 346, truth == 1) > 0.7
    # The unmapped block is background.
    assert dice(found.labels == 346, truth == 2) < 0.1
    # The curve, and what was decided.
    curve = (tmp_path / "auto" / "log.csv").read_text()
    assert "validation" in curve
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["held_out"] == ["case5"]
    with pytest.raises(UnknownClassError, match="own classes: my tumour"):
        model.segment(hu, "my tumor", affine=AFFINE)

    # Its own session knows the name, too.
    session = model.session(hu, affine=AFFINE)
    session.run_automatic("my tumour")
    assert [thing.name for thing in session.objects] == ["my tumour"]
    session.click(np.argwhere(truth == 1)[0].tolist(), space="voxel")
    session.save(tmp_path / "s.zip")
    again = model.open_session(tmp_path / "s.zip", hu, affine=AFFINE)
    assert [thing.class_id for thing in again.objects] == [346]

    # Again: nothing is left to do; and further classes come on top of those it has.
    written = (tmp_path / "model.safetensors").read_bytes()
    vista3d.finetune(
        base, dataset, "block:new:my tumour", tmp_path, cases=5, steps=60, learning_rate=5e-3,
        device="cpu",
    )  # fmt: skip
    assert (tmp_path / "model.safetensors").read_bytes() == written
    with pytest.raises(UsageError, match=r"other .*map.* --initial .*model\.safetensors -o NEW"):
        vista3d.finetune(base, dataset, "block:new:another", tmp_path, cases=5, steps=60)
    more = vista3d.finetune(
        model, dataset, "block:my tumour,other:new:cyst", tmp_path / "more", cases=1, steps=2,
        device="cpu",
    )  # fmt: skip
    assert more.meta.names == {346: "my tumour", 347: "cyst"}


def test_a_class_of_the_table_is_called_by_its_name(
    base: Path, dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, logger="vista3d.training")
    vista3d.finetune(base, dataset, "block:larynx", tmp_path, cases=1, steps=1, device="cpu")
    assert "larynx starts from" in caplog.text


def test_light_leaves_clicks_and_other_classes_alone(base: Path, dataset: Path, tmp_path: Path):
    vista3d.finetune(
        base, dataset, "other:spleen,block:new:lump", tmp_path, cases=1, steps=3, mode="light",
        device="cpu",
    )  # fmt: skip
    before, _ = read_checkpoint(base)
    after, meta = read_checkpoint(tmp_path / "model.safetensors")
    assert meta.classes == (3, 346)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(name.startswith(("class_head.", "image_encoder.up_layers_auto")) for name in changed)
    assert all("norm" in name for name in changed if "up_layers_auto" in name)
    rows = (before[ROWS] != after[ROWS]).any(1).nonzero().flatten().tolist()
    assert rows == [3, 346]
    assert meta.provenance["point_branch"] == "trained"


def test_clicks_can_follow_the_encoder(base: Path, dataset: Path, tmp_path: Path):
    model = vista3d.finetune(
        base, dataset, "block:new:lump", tmp_path, cases=1, steps=3, points=True, device="cpu"
    )
    before, _ = read_checkpoint(base)
    after = model.network.state_dict()
    moved = [n for n in before if n.startswith("point_head.") and "weight" in n]
    assert any(not torch.allclose(before[n].float(), after[n].cpu(), atol=1e-6) for n in moved)
    assert model.meta.provenance["point_branch"] == "trained"
    assert model.meta.click_window == (32, 32, 32)
    # For half as long again.
    run = model.meta.provenance["stages"]
    assert [(stage["stage"], stage["steps"]) for stage in run] == [("auto", 3), ("points", 2)]


@pytest.mark.parametrize(("patience", "kept", "step"), [(2, "best.pt", 1), (9, "state.pt", 4)])
def test_the_last_weights_are_kept_but_for_an_early_stop(
    base: Path, dataset: Path, tmp_path: Path, monkeypatch, patience: int, kept: str, step: int
):
    """Held-out Dice falls from the first step on."""
    scores = iter([0.5, 0.4, 0.3, 0.2])
    monkeypatch.setattr(stages, "VALIDATE_EVERY", 1)
    monkeypatch.setattr(job, "PATIENCE", patience)
    monkeypatch.setattr(StageRun, "_validate", lambda *_: {"validation": next(scores)})
    vista3d.finetune(
        base, dataset, "block:new:block", tmp_path, cases=5, steps=4, learning_rate=5e-3,
        device="cpu",
    )  # fmt: skip
    state = torch.load(tmp_path / "auto" / kept, weights_only=True)
    assert state["step"] == step
    weights, _ = read_checkpoint(tmp_path / "model.safetensors")
    assert all(torch.equal(weights[k], v.to(weights[k].dtype)) for k, v in state["average"].items())


def test_held_out_scans_without_the_structure_are_told(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    dataset = make_dataset(tmp_path / "Dataset002_Held", lacking=(4,))
    vista3d.finetune(base, dataset, "block:new:lump", tmp_path / "run", steps=1, device="cpu")
    assert "no held-out scan shows block: training goes on to its end" in caplog.text
    assert json.loads((tmp_path / "run/plan.json").read_text())["held_out"] == ["case4"]


def test_scans_in_other_units(base: Path, dataset: Path, tmp_path: Path):
    data = tmp_path / "data"
    (data / "scans").mkdir(parents=True)
    rows = ["image,label"]
    for number in (0, 2):
        hu, labels = draw(number)
        raw = ((hu.astype(float) + 1000) * 20).astype(np.uint16)
        nib.save(nib.Nifti1Image(raw, AFFINE / 10), data / "scans" / f"m{number}.nii.gz")
        nib.save(nib.Nifti1Image(labels, AFFINE / 10), data / "scans" / f"m{number}_seg.nii.gz")
        rows.append(f"scans/m{number}.nii.gz,scans/m{number}_seg.nii.gz")
    (data / "micro.csv").write_text("\n".join(rows))
    model = vista3d.finetune(
        base, data / "micro.csv", "1:new:lump", tmp_path / "run", steps=2, device="cpu"
    )
    assert model.meta.spacing == (0.5, 0.5, 0.5)  # 16 mm fill a window of 32
    assert model.meta.intensity[1] > 25000
    raw, _ = draw(9)
    found = model.segment(((raw.astype(float) + 1000) * 20).astype(np.uint16), affine=AFFINE / 10)
    assert found.labels.shape == (40, 40, 40)


def test_numbers_above_zero(base: Path, dataset: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="minutes"):
        vista3d.finetune(base, dataset, "1:liver", tmp_path, minutes=0)
    with pytest.raises(UsageError, match="heavy"):
        vista3d.finetune(base, dataset, "1:liver", tmp_path, mode="heavy")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="multiple of"):
        vista3d.finetune(base, dataset, "1:liver", tmp_path, patch=50)
    with pytest.raises(UsageError, match="patch 16 must be a multiple of 16 from 32 on"):
        vista3d.finetune(base, dataset, "1:liver", tmp_path, patch=16)


def test_torchrun_is_refused(
    base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(job, "make_fabric", lambda *_: SimpleNamespace(world_size=2))
    with pytest.raises(UsageError, match="one process: start it without torchrun"):
        vista3d.finetune(base, dataset, "1:liver", tmp_path / "run")
