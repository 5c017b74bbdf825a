"""`vista3d supervoxels` as a user meets it."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.supervoxels.test_make import patient
from vista3d.cli.main import main
from vista3d.cli.supervoxels import choose_precision


@pytest.fixture
def run(capsys):
    """Run the command in this process: exit code and both streams on one line."""

    def call(*arguments) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main(["supervoxels", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), " ".join((captured.out + captured.err).split())

    return call


@pytest.fixture
def ct(tmp_path):
    """A synthetic scan with an affine that is neither RAS nor isotropic."""
    path = tmp_path / "ct.nii.gz"
    affine = np.array([[0, 0, 2.5, 3], [-2, 0, 0, 5], [0, -2, 0, 7], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(patient(), affine), path)
    return path


def test_a_real_ct(run, corpus, tmp_path):
    scan = corpus / "Dataset103_TorsoPseudo/imagesTr/totalseg_slab_0000.nii.gz"
    code, text = run(scan, "-o", tmp_path, "--segments", 60, "--preview")
    assert code == 0, text
    assert "supervoxels in" in text
    source = nib.load(scan)
    found = nib.load(tmp_path / "totalseg_slab_supervoxels.nii.gz")
    np.testing.assert_array_equal(found.affine, source.affine)
    assert found.header["sform_code"] == source.header["sform_code"]
    assert found.header["pixdim"][:4].tolist() == source.header["pixdim"][:4].tolist()
    assert found.get_data_dtype() == np.uint16
    labels = np.asarray(found.dataobj)
    assert labels.shape == source.shape
    assert 30 <= labels.max() <= 90
    with Image.open(tmp_path / "totalseg_slab_supervoxels_preview.png") as picture:
        assert min(picture.size) > 300
    # Supervoxels follow organs: the best one supervoxel per voxel agrees with the labels.
    truth = nib.load(corpus / "Dataset103_TorsoPseudo/labelsTr/totalseg_slab.nii.gz")
    anatomy = np.asarray(truth.dataobj).astype(np.int64)
    pairs, counts = np.unique(labels.astype(np.int64) * 256 + anatomy, return_counts=True)
    best = np.zeros(int(labels.max()) + 1)
    np.maximum.at(best, pairs // 256, counts)
    assert best.sum() > 0.85 * labels.size


def test_a_named_file_and_no_silent_overwriting(run, ct, tmp_path):
    target = tmp_path / "out" / "parts.nii.gz"
    assert run(ct, "-o", target, "-n", 20, "-q")[0] == 0
    first = target.read_bytes()
    code, text = run(ct, "-o", target, "-n", 20)
    assert code == 2
    assert "--overwrite" in text
    assert run(ct, "-o", target, "-n", 20, "--overwrite")[0] == 0
    assert target.read_bytes() == first
    assert [path.name for path in target.parent.iterdir()] == ["parts.nii.gz"]


def test_a_sam_folder_as_teacher(run, ct, sam_folder, tmp_path):
    code, text = run(ct, "-o", tmp_path / "out", "--teacher", sam_folder, "-n", 20)
    assert code == 0, text
    labels = np.asarray(nib.load(tmp_path / "out" / "ct_supervoxels.nii.gz").dataobj)
    # Random weights make noise, whose fragments merge to few.
    assert labels.max() > 1


def test_sam_that_is_not_here(run, ct, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    code, text = run(ct, "-o", tmp_path / "out", "--teacher", "sam-vit-huge")
    assert code == 6
    assert "--teacher intensity" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--device", "abacus"], 2, "abacus"),
        (["--precision", "fp8"], 2, "fp8"),
        (["--segments", "0"], 2, "segments"),
        (["-o", "labels.png"], 2, "labels.png"),
        (["-o", "labels.mhd"], 2, ".mha"),
    ],
)
def test_bad_options(run, ct, tmp_path, options, code, words):
    out = [] if "-o" in options else ["-o", tmp_path / "out"]
    found, text = run(ct, *out, *options)
    assert found == code
    assert words in text


@pytest.mark.parametrize("name", ["parts.mha", "parts.nrrd"])
def test_sheared_axes_are_refused_before_the_work(run, tmp_path, monkeypatch, name):
    affine = np.array([[2, 0, 0, 0], [0, 2, 0.8, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(patient(), affine), tmp_path / "ct.nii.gz")
    monkeypatch.setattr("vista3d.supervoxels.supervoxels", None)
    code, text = run(tmp_path / "ct.nii.gz", "-o", tmp_path / name)
    assert code == 2
    assert f"sheared, '{name}' cannot hold them: use .nii.gz" in text


def test_bad_input(run, tmp_path):
    missing = tmp_path / "missing.nii.gz"
    assert run(missing, "-o", tmp_path / "out")[0] == 4
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(b"not a scan")
    code, text = run(damaged, "-o", tmp_path / "out")
    assert code == 4
    assert "damaged.nii.gz" in text
    assert not list((tmp_path).glob("out/*"))


def test_bf16_only_where_it_is_native(monkeypatch):
    monkeypatch.setattr("vista3d.inference.runtimes.has_native_bf16", lambda: False)
    assert choose_precision("auto", "cpu") == "fp32"
    monkeypatch.setattr("vista3d.inference.runtimes.has_native_bf16", lambda: True)
    assert choose_precision("auto", "cpu") == "bf16"
    assert choose_precision("auto", "mps") == "fp32"
    assert choose_precision("fp16", "cpu") == "fp16"
