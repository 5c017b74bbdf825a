"""`vista3d evaluate` in this process, on real files and a tiny network."""

from __future__ import annotations

import json
import logging
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


@pytest.fixture
def masks(data, tmp_path) -> Path:
    """The two scans as a list of two columns, whose masks have no names, and a third one."""
    image, label = data / "imagesTr" / "case0_0000.nii.gz", data / "labelsTr" / "case0.nii.gz"
    (data / "imagesTr" / "case2_0000.nii.gz").write_bytes(image.read_bytes())
    (data / "labelsTr" / "case2.nii.gz").write_bytes(label.read_bytes())
    rows = [
        f"{data.name}/imagesTr/case{n}_0000.nii.gz,{data.name}/labelsTr/case{n}.nii.gz"
        for n in range(3)
    ]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["image,label", *rows]))
    return file


@pytest.fixture
def scored(tiny_checkpoint, capsys, caplog):
    """Call the command with the tiny network on a list; what it logs goes with its errors."""
    model = ("--model", tiny_checkpoint, "--runtime", "torch", "--precision", "fp32")
    caplog.set_level(logging.NOTSET, logger="vista3d.studies")

    def run(*arguments: object) -> tuple[int, str, str]:
        code, out, err = call(capsys, *arguments, *model)
        return code, out, caplog.text + err

    return run


def test_which_scans_are_taken_is_said(scored, masks, tmp_path):
    out = tmp_path / "run"
    code, shown, err = scored(masks, "--map", "1:liver", "--split", "train", "-o", out)
    assert code == 0
    part = json.loads((out / "summary.json").read_text())["runs"][0]["part"]
    assert (part["split"], part["of"]) == ("train", 3)
    assert 0 < part["scans"] < 3
    text = f"plit train: {part['scans']} of 3 scans; --split all takes all"
    assert f"s{text}" in err
    for report in (shown, (out / "tables.md").read_text(), (out / "report.html").read_text()):
        assert f"S{text}." in report


def test_nothing_is_offered_where_all_are_taken(scored, masks):
    code, shown, _ = scored(masks, "--map", "1:liver", "--split", "all", "--cases", 2)
    assert code == 0
    assert "Split all: 2 of 3 scans." in shown


def test_a_list_without_names_is_told_how_to_name(scored, masks):
    code, _, err = scored(masks, "--split", "all")
    assert code == 2
    assert "no label means a structure. Say what they mean: " in err
    assert '--map "1:liver", or --mapping FILE' in err
    code, _, err = scored(masks, "--split", "all", "--classes", "spleen")
    assert code == 2
    assert "no label means a structure: say which one means 'spleen': --map" in err
    code, _, err = scored(masks, "--split", "all", "--protocol", "zero-shot")
    assert code == 2
    assert '--map "1:new:my tumour"' in err


def test_labels_that_mean_no_class_of_the_model_are_named(scored, data):
    about = data / "dataset.json"
    about.write_text(about.read_text().replace("liver", "lump"))
    code, _, err = scored(data, "--split", "all")
    assert code == 2
    assert "the labels (lump) mean none of its classes" in err
    assert 'Say what they mean: --map "1:liver"' in err


def test_a_class_that_nobody_looked_for_here_is_no_question_of_names(scored, data):
    about = json.loads((data / "dataset.json").read_text())
    about["cases"] = [{"case": f"case{n}", "annotated": []} for n in range(2)]
    (data / "dataset.json").write_text(json.dumps(about))
    code, _, err = scored(data, "--split", "all")
    assert code == 2
    assert "choose another protocol, split or classes" in err
