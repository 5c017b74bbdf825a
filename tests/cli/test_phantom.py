"""`vista3d phantom`: files that read back, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from vista3d.cli.phantom import phantom
from vista3d.errors import UsageError
from vista3d.volume import read

app = typer.Typer()
app.command()(phantom)


def test_writes_image_labels_and_truth(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["-o", str(tmp_path), "--seed", "7", "--count", "2", "--spacing", "9",
         "--region", "abdomen"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "phantom_0007.json", "phantom_0007_ct.nii.gz", "phantom_0007_labels.nii.gz",
        "phantom_0008.json", "phantom_0008_ct.nii.gz", "phantom_0008_labels.nii.gz",
    ]  # fmt: skip
    volume = read(tmp_path / "phantom_0007_ct.nii.gz")
    labels = nibabel.load(tmp_path / "phantom_0007_labels.nii.gz")
    data = np.asarray(labels.dataobj)
    assert volume.array.dtype == np.int16
    assert data.dtype == np.uint8
    assert np.allclose(labels.affine, volume.affine)
    truth = json.loads((tmp_path / "phantom_0007.json").read_text())
    assert truth["seed"] == 7
    assert truth["synthetic"] is True
    found = {entry["name"]: entry for entry in truth["structures"]}
    assert found["liver"]["volume_ml"] == pytest.approx((data == 1).sum() * 0.729, abs=0.01)
    assert not found["right kidney"]["truncated"]
    assert found["left femur"]["truncated"]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "phantom_0008.json").write_text("corrected by hand")
    options = ["-o", str(tmp_path), "--count", "2", "--spacing", "12", "--seed", "7"]
    result = CliRunner().invoke(app, options)
    assert isinstance(result.exception, UsageError)
    assert "exists: add --overwrite" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["phantom_0008.json"]
    assert CliRunner().invoke(app, [*options, "--overwrite"]).exit_code == 0
    assert json.loads((tmp_path / "phantom_0008.json").read_text())["seed"] == 8


@pytest.mark.parametrize("value", ["1,2", "fine"])
def test_refuses_with_a_usage_error(tmp_path: Path, value: str) -> None:
    result = CliRunner().invoke(app, ["-o", str(tmp_path), "--spacing", value])
    assert isinstance(result.exception, UsageError)
    assert value in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_an_unknown_region_is_told_with_those_there_are(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["-o", str(tmp_path), "--region", "foot"])
    assert result.exit_code == 2
    assert "head-neck" in result.output
    assert not list(tmp_path.iterdir())
