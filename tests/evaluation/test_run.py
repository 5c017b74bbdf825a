"""Whole runs of a real, tiny network on files: resumed, repeated, spread, reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

import vista3d
from vista3d.errors import InputError, UsageError
from vista3d.evaluation.report import compare
from vista3d.evaluation.run import ModelSource
from vista3d.network.checkpoint import save_checkpoint
from vista3d.network.config import NetworkConfig
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.training.finetuning.export import fingerprint

CLEAN = ("auto", "point", "auto+point", "clicks", "zero-shot")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three scans: a liver and a spleen, one scan without spleen, and a structure of no class."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "Dataset001_Made"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    affine = np.diag([-6.0, 6.0, 6.0, 1.0])
    for number in range(3):
        labels = np.zeros((24, 20, 16), np.uint8)
        labels[4:12, 4:14, 3:12] = 1
        labels[14:20, 6:13, 4:10] = 2 * (number > 0)
        labels[8:11, 16:19, 4:9] = 3
        noise = np.random.default_rng(number).normal(0, 20, labels.shape)
        hu = (np.array([-80, 60, 120, 250])[labels] + noise).astype(np.int16)
        name = f"case{number}"
        nib.save(nib.Nifti1Image(hu, affine), folder / "imagesTr" / f"{name}_0000.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"{name}.nii.gz")
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "spleen": 2, "thing": 3},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A network of random weights that knows liver and spleen."""
    torch.manual_seed(3)
    config = NetworkConfig(
        widths=(4, 4, 4, 4, 4), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8
    )
    grid = ((6.0, 6.0, 6.0), (32, 32, 32), (-1000.0, 1000.0), (1, 3))
    meta = CheckpointMeta("tiny", config, *grid, "none", {"note": "random weights"})
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, Vista3D(config).state_dict(), meta)
    return path


def source(weights: Path) -> ModelSource:
    return ModelSource(str(weights), "cpu", "torch", "fp32")


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.*"))}


@pytest.fixture(scope="module")
def finished(data, weights, tmp_path_factory) -> Path:
    """The folder of a run with every clean protocol."""
    folder = tmp_path_factory.mktemp("run")
    vista3d.evaluate(source(weights), data, CLEAN, clicks=[1, 3], split=None, output=folder, seed=1)
    return folder


def test_every_protocol_is_there(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert tuple(run["settings"]["protocol"] for run in summary["runs"]) == CLEAN
    seen = {
        run["settings"]["protocol"]: {line["structure"] for line in run["figures"]}
        for run in summary["runs"]
    }
    assert seen["auto"] == {"all structures", "liver", "spleen"}
    assert seen["zero-shot"] == {"all structures", "thing"}


def test_an_absent_structure_is_counted_where_absence_is_stated(finished):
    summary = json.loads((finished / "summary.json").read_text())
    (spleen,) = (x for x in summary["runs"][0]["figures"] if x["structure"] == "spleen")
    assert (spleen["scans"], spleen["absent"]) == (2, 1)


def test_the_same_run_gives_the_same_bytes(data, weights, finished, tmp_path):
    vista3d.evaluate(
        source(weights), data, CLEAN, clicks=[1, 3], split=None, output=tmp_path, seed=1
    )
    assert files(tmp_path) == files(finished)


@pytest.mark.slow
def test_processes_share_the_cases_and_change_nothing(data, weights, tmp_path, monkeypatch):
    """With one thread each: sums over other threads may round differently."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in (1, 2):
            vista3d.evaluate(
                source(weights), data, "clicks", clicks=[1, 3], split=None, processes=number,
                output=tmp_path / str(number),
            )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    assert files(tmp_path / "1") == files(tmp_path / "2")


@pytest.mark.parametrize("protocol", CLEAN)
def test_official_runs_repeat_bit_for_bit(data, weights, tmp_path, protocol):
    for name in ("one", "two"):
        vista3d.evaluate(
            source(weights), data, protocol, official=True, split=None, cases=1,
            output=tmp_path / name, seed=7,
        )  # fmt: skip
    assert files(tmp_path / "one") == files(tmp_path / "two")


def states(data, weights, folder, **options) -> list[str]:
    heard: list[str] = []
    vista3d.evaluate(
        source(weights), data, "auto", split=None, output=folder,
        listen=lambda end, done, total: heard.append(end.state), **options,
    )  # fmt: skip
    return heard


def test_finished_cases_are_skipped_where_nothing_changed(data, weights, tmp_path):
    assert states(data, weights, tmp_path, cases=2) == ["finished"] * 2
    assert states(data, weights, tmp_path) == ["skipped", "skipped", "finished"]
    assert states(data, weights, tmp_path, tolerance_mm=2.0) == ["finished"] * 3
    (tmp_path / "auto" / "Dataset001_Made" / "case1.json").write_text("{damaged")
    assert states(data, weights, tmp_path, tolerance_mm=2.0) == ["skipped", "finished", "skipped"]


def test_a_broken_scan_does_not_stop_the_others(data, weights, tmp_path):
    import shutil

    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    image = nib.Nifti1Image(np.zeros((24, 20, 15), np.uint8), np.eye(4))
    nib.save(image, broken / "Dataset001_Made" / "labelsTr" / "case1.nii.gz")
    report = vista3d.evaluate(source(weights), broken, split=None, output=tmp_path / "run")
    (why,) = report.failures.values()
    assert "resample them to the scan's grid" in why
    assert {row.case for row in report.runs[0].rows} == {"case0", "case2"}
    assert "have shape (24, 20, 15)" in (tmp_path / "run" / "report.html").read_text()


def test_a_run_in_which_every_scan_failed_is_a_report_too(data, weights, tmp_path):
    import shutil

    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    for image in (broken / "Dataset001_Made" / "imagesTr").iterdir():
        image.write_bytes(b"no image")
    report = vista3d.evaluate(source(weights), broken, split=None, output=tmp_path / "run")
    assert len(report.failures) == 3
    assert "case2" in (tmp_path / "run" / "report.html").read_text()
    assert "No scan could be evaluated" in (tmp_path / "run" / "tables.md").read_text()


def test_a_loaded_model_and_no_folder(data, weights):
    model = vista3d.load(weights, device="cpu", runtime="torch", precision="fp32")
    report = vista3d.evaluate(model, data, split=None, cases=1)
    assert [row.structure for row in report.runs[0].rows] == ["liver", "spleen"]
    with pytest.raises(UsageError, match="2 processes"):
        vista3d.evaluate(model, data, split=None, processes=2)


def test_structures_can_be_chosen(data, weights):
    report = vista3d.evaluate(source(weights), data, split=None, classes=["spleen"])
    assert {row.structure for row in report.runs[0].rows} == {"spleen"}
    with pytest.raises(UsageError, match="no case annotates 'livr'"):
        vista3d.evaluate(source(weights), data, split=None, classes=["livr"])


def test_known_structures_can_be_clicked_as_novel_ones(data, weights):
    report = vista3d.evaluate(
        source(weights), data, "zero-shot", clicks=[1], split=None, cases=1, classes=["liver"]
    )
    assert {row.structure for row in report.runs[0].rows} == {"liver"}


def test_everything_can_be_prompted_instead_of_the_data_sets_classes(data, weights, monkeypatch):
    from vista3d.inference import Model

    asked = []
    segment = Model.segment

    def listening(model, volume, classes, **options):
        asked.append(tuple(classes))
        return segment(model, volume, classes, **options)

    monkeypatch.setattr(Model, "segment", listening)
    chosen = {"split": None, "cases": 1, "labels": "1:liver"}
    vista3d.evaluate(source(weights), data, **chosen)
    vista3d.evaluate(source(weights), data, everything=True, **chosen)
    assert asked == [(1,), (1, 3)]


def test_scans_that_a_model_saw_are_named(data, weights, caplog):
    model = vista3d.load(weights, device="cpu", runtime="torch", precision="fp32")
    seen = replace(model.meta, provenance={"seen": [fingerprint("case0"), fingerprint("else")]})
    vista3d.evaluate(replace(model, meta=seen), data, split=None, cases=2)
    assert "fine-tuned on 1 of these 2 scans (case0)" in caplog.text


def test_nothing_to_score_is_an_error(data, weights, tmp_path):
    """The first scan has no spleen, and nobody says that it was looked for."""
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"datasets": {"Dataset001_Made": {"complete": False}}}))
    with pytest.raises(UsageError, match="no structure was scored in any of 1 scans"):
        vista3d.evaluate(
            source(weights), data, split=None, cases=1, labels="2:spleen", mapping=mapping
        )


def test_labels_can_be_named_on_the_spot(data, weights):
    report = vista3d.evaluate(source(weights), data, split=None, cases=1, labels="3:spleen")
    (row,) = report.runs[0].rows
    assert row.structure == "spleen"
    assert row.score.truth_ml == pytest.approx(3 * 3 * 5 * 216 / 1000)
    with pytest.raises(UsageError, match="no label '9'"):
        vista3d.evaluate(source(weights), data, split=None, labels="9:spleen")


def test_runs_with_nothing_in_common(data, weights, tmp_path, caplog):
    for name in ("liver", "spleen"):
        vista3d.evaluate(
            source(weights), data, split=None, cases=2, classes=[name], output=tmp_path / name
        )
    compare([tmp_path / "liver", tmp_path / "liver"])
    assert "nothing of them is compared" not in caplog.text
    compare([tmp_path / "liver", tmp_path / "spleen"])
    assert "liver and spleen (auto) scored no structure of a scan after as many" in caplog.text


def test_runs_side_by_side(finished, tmp_path):
    report = compare([finished, finished])
    assert len(report.runs) == 2 * len(CLEAN)
    report.write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "better by" in page
    assert page.count("<section>") == len(CLEAN)


def test_a_comparison_needs_runs(tmp_path):
    with pytest.raises(InputError, match="holds no evaluation"):
        compare([tmp_path])


def test_the_page_holds_everything_itself(finished):
    page = (finished / "report.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert page.count('<svg class="chart"') >= 4
    for outside in ("<script", "<link", 'src="http', "url("):
        assert outside not in page
