"""docs/finetune.md in a shortened form: from NIfTI files to a mask on a scan that was not seen."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.training.finetuning.made import AFFINE, draw, make_base, make_dataset
from vista3d.cli.main import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_the_walk_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = make_dataset(tmp_path / "Dataset001_Mine", count=5)
    base = make_base(tmp_path / "tiny.safetensors")
    made = tmp_path / "run"
    asked = ("--data", data, "--map", "1:new:my tumour", "--cases", 5, "-o", made)
    assert run("finetune", *asked, "--initial", base, "--steps", 30, "--device", "cpu") == 0
    assert "346 my tumour" in capsys.readouterr().out

    hu, _ = draw(99)
    nib.save(nib.Nifti1Image(hu, AFFINE), tmp_path / "unseen.nii.gz")
    weights, out = made / "model.safetensors", tmp_path / "out"
    wanted = ("--classes", "my tumour", "-m", weights, "--statistics", "--preview")
    assert run("segment", tmp_path / "unseen.nii.gz", "-o", out, *wanted) == 0
    labels = json.loads((out / "unseen_seg.json").read_text())["labels"]
    assert [(each["id"], each["name"]) for each in labels] == [(346, "my tumour")]
    mask = nib.load(out / "unseen_seg.nii.gz")
    assert set(np.unique(mask.get_fdata())) <= {0, 346}
    assert (out / "unseen_preview.png").is_file()
    statistics = (out / "unseen_statistics.csv").read_text()
    assert "my tumour" in statistics

    capsys.readouterr()
    assert run("card", "-m", weights, "--training", made) == 0
    card = capsys.readouterr().out
    assert "Learning curves" in card
    assert "of my tumour" in card
    assert "trained before the encoder was fine-tuned" in card

    # A click on the same class, by its name.
    click = ("--class", "my tumour", "--point", "20,20,20,+", "-m", weights, "-q")
    assert run("click", tmp_path / "unseen.nii.gz", "-o", tmp_path / "clicked", *click) == 0
    (sidecar,) = (tmp_path / "clicked").glob("*_seg.json")
    assert json.loads(sidecar.read_text())["labels"][0]["name"] == "my tumour"

    # The name belongs to this file alone.
    capsys.readouterr()
    assert run("segment", tmp_path / "unseen.nii.gz", "-o", out, "--classes", "my tumour") == 2
    assert "unknown class 'my tumour'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--map", "1:new:liver"), "write 1:liver", 2),
        (("--map", "9:new:lump"), "no label '9'", 2),
        (("--map", "1:new:lump", "--cases", 9), "9 needed", 4),
        (("--map", "1:new:lump", "--minutes", 0), "above 0", 2),
        (("--map", "1:new:lump", "--initial", "nothing.pt"), "no model", 6),
    ],
)
def test_refusals(tmp_path: Path, arguments, message, code, capsys: pytest.CaptureFixture[str]):
    data = make_dataset(tmp_path / "Dataset001_Mine", count=2)
    base = make_base(tmp_path / "tiny.safetensors")
    asked = ("--data", data, "-o", tmp_path / "run", "--initial", base)
    assert run("finetune", *asked, *arguments) == code
    assert message in capsys.readouterr().err


def test_a_file_in_the_way_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "run").write_text("mine")
    asked = ("--data", tmp_path, "--map", "1:new:lump", "-o", tmp_path / "run")
    assert run("finetune", *asked) == 2
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "run").read_text() == "mine"
