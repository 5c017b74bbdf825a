"""`vista3d calibrate` with a real, tiny network on made-up scans."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.cli.fake import scan
from vista3d.cli.main import main
from vista3d.network.checkpoint import read_checkpoint, save_checkpoint
from vista3d.network.metadata import CheckpointMeta


@pytest.fixture
def data(tmp_path) -> Path:
    """Three scans; the hash of their names puts some of them into the training split."""
    folder = tmp_path / "Dataset001_Made"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for name in "abc":
        path = scan(folder / "imagesTr" / f"{name}_0000.nii.gz", seed=ord(name))
        image = nib.load(path)
        labels = (np.asarray(image.dataobj) > 50).astype(np.uint8)
        nib.save(nib.Nifti1Image(labels, image.affine), folder / "labelsTr" / f"{name}.nii.gz")
    about = {
        "channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1},
        "file_ending": ".nii.gz", "numTraining": 3,
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", *map(str, arguments)])
    return int(stop.value.code or 0)


def test_the_margins_travel_in_a_copy(data, tiny_checkpoint, tmp_path, capsys):
    out = tmp_path / "calibrated.safetensors"
    assert call(data, "-m", tiny_checkpoint, "-o", out) == 0
    assert "liver" in capsys.readouterr().out
    before, after = CheckpointMeta.peek(tiny_checkpoint), CheckpointMeta.peek(out)
    assert before is not None
    assert after is not None
    assert after.classes == before.classes
    assert set(after.margins) <= {1}
    assert call(data, "-m", tiny_checkpoint, "-o", out) == 2  # it is there
    assert "--overwrite" in capsys.readouterr().err


def test_a_fine_tuned_models_own_class(data, tiny_checkpoint, tmp_path, capsys):
    """As `finetune --map "1:new:block"` leaves it: the data set calls the structure otherwise."""
    weights, meta = read_checkpoint(tiny_checkpoint)
    own = replace(meta, names={346: "block"}, classes=(346,))
    model, out = tmp_path / "own.safetensors", tmp_path / "calibrated.safetensors"
    save_checkpoint(model, weights, own)
    arguments = (data, "-m", model, "-o", out, "--map", "1:block", "--split")
    assert call(*arguments, "half") == 2
    assert "unknown split 'half'" in capsys.readouterr().err
    assert call(*arguments, "all") == 0
    shown = capsys.readouterr()
    assert re.search(r"^block +3 ", shown.out, re.M)  # all three scans, not those of a split
    assert "drawn in fewer than 8 scans, margin 0: block" in shown.err
    assert CheckpointMeta.peek(out).margins == {}


def test_a_model_file_has_its_ending(data, tiny_checkpoint, tmp_path, capsys):
    assert call(data, "-m", tiny_checkpoint, "-o", tmp_path / "model.pt") == 2
    assert "must end in .safetensors" in capsys.readouterr().err
