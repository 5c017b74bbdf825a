"""`vista3d evaluate` in this process, on real files and a tiny network."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from vista3d.cli.main import main


@pytest.fixture
def data(tmp_path) -> Path:
    """Two scans with a liver; the tiny network knows it (class 1)."""
    folder = tmp_path / "Dataset001_Made"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    for number in range(2):
        labels = np.zeros((26, 24, 20), np.uint8)
        labels[6:18, 6:16, 4:14] = 1
        hu = np.where(labels, 80, -90).astype(np.int16)
        nib.save(nib.Nifti1Image(hu, affine), folder / "imagesTr" / f"case{number}_0000.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"case{number}.nii.gz")
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture
def evaluated(data, tiny_checkpoint, capsys):
    """Call the command with the tiny network on all scans."""

    def run(*arguments: object) -> tuple[int, str, str]:
        model = ("--model", tiny_checkpoint, "--runtime", "torch", "--precision", "fp32")
        return call(capsys, data, "--split", "all", *model, *arguments)

    return run


def test_tables_and_a_report(evaluated, tmp_path):
    code, out, err = evaluated("-o", tmp_path / "run")
    assert code == 0
    assert "| **all structures** | 2 |" in out
    assert "2/2 Dataset001_Made/case1 finished" in err
    assert {"report.html", "summary.json", "summary.csv", "scores.csv", "auto"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }


def test_json(evaluated):
    code, out, _ = evaluated("--cases", 1, "--json")
    assert code == 0
    (run,) = json.loads(out)["runs"]
    assert run["scans"] == 1
    assert run["settings"]["protocol"] == "auto"


def test_several_protocols_and_budgets(evaluated):
    code, out, _ = evaluated("--cases", 1, "--protocol", "auto,clicks", "--clicks", "1,2", "--json")
    assert code == 0
    first, second = json.loads(out)["runs"]
    assert first["settings"]["clicks"] == [0]
    assert second["settings"]["clicks"] == [1, 2]


def test_runs_are_compared(evaluated, tmp_path, capsys):
    evaluated("--cases", 1, "-o", tmp_path / "a")
    evaluated("--cases", 1, "-o", tmp_path / "b")
    folders = (tmp_path / "a", tmp_path / "b")
    code, _, _ = call(capsys, "--compare", *folders, "-o", tmp_path / "both")
    assert code == 0
    assert "better by" in (tmp_path / "both" / "report.html").read_text()


def test_a_broken_scan_is_exit_code_3(evaluated, data, tmp_path):
    (data / "imagesTr" / "case0_0000.nii.gz").write_bytes(b"no image")
    code, out, err = evaluated()
    assert code == 3
    assert "| **all structures** | 1 |" in out
    assert "1 scans were not evaluated: Dataset001_Made/case0" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--protocol", "clicky"), "unknown protocol 'clicky'"),
        (("--protocol", "zero-shot"), "choose another protocol"),
        (("--protocol", "auto", "--clicks", "1"), "no click budgets to choose"),
        (("--protocol", "clicks", "--clicks", "0,1"), "whole numbers from 1 on"),
        (("--protocol", "clicks", "--clicks", "one"), "must be whole numbers by commas"),
        (("--protocol", "auto+point", "--official", "--clicks", "2"), "no click budgets to choose"),
        (("--tolerance", "0"), "must be above 0"),
        (("--split", "half"), "unknown split 'half'"),
        (("--compare",), "--compare needs -o"),
    ],
)
def test_refusals_say_what_to_do(evaluated, arguments, message):
    code, out, err = evaluated(*arguments)
    assert code == 2
    assert message in err
    assert not out
