import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.training.finetuning.made import AFFINE, draw
from vista3d.errors import GeometryError, InputError, UsageError
from vista3d.training.finetuning.scans import choose, cut_out
from vista3d.training.finetuning.targets import Target
from vista3d.volume import Volume

BLOCK = (Target("block", 346, "block"),)


def names(cases) -> list[str]:
    return [case.name for case in cases]


def test_the_first_scans_that_show_every_class(dataset: Path):
    found = choose(dataset, BLOCK, 2)
    assert names(found.train) == ["case0", "case2"]
    assert found.held_out == ()


def test_one_in_five_is_held_out(dataset: Path):
    found = choose(dataset, BLOCK, 5)
    assert names(found.train) == ["case0", "case2", "case3", "case4"]
    assert names(found.held_out) == ["case5"]


def test_all_scans_are_those_with_the_structure_and_those_without(dataset: Path):
    found = choose(dataset, BLOCK, None)
    assert sorted(names((*found.train, *found.held_out))) == [f"case{n}" for n in range(6)]
    assert "case1" not in [scan.case.name for scan in found.measured]


def test_a_patient_is_on_one_side(dataset: Path, tmp_path: Path):
    folder = tmp_path / "Dataset001_Made"
    folder.mkdir()
    for part in ("imagesTr", "labelsTr"):
        (folder / part).symlink_to(dataset / part)
    about = json.loads((dataset / "dataset.json").read_text())
    patients = {0: "a", 1: "b", 2: "c", 3: "d", 4: "e", 5: "e"}
    about["cases"] = [{"case": f"case{n}", "patient": p} for n, p in patients.items()]
    (folder / "dataset.json").write_text(json.dumps(about))
    found = choose(folder, BLOCK, None)
    assert names(found.held_out) == ["case4", "case5"]


def test_what_a_list_holds_out(dataset: Path, tmp_path: Path):
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).symlink_to(dataset / part)
    items = [
        {"image": f"imagesTr/case{n}_0000.nii.gz", "label": f"labelsTr/case{n}.nii.gz", "fold": f}
        for n, f in ((0, 1), (2, 0), (3, 1))
    ]
    content = {"labels": {"1": "block"}, "training": items[:2], "testing": items[2:]}
    (tmp_path / "list.json").write_text(json.dumps(content))
    found = choose(tmp_path / "list.json", BLOCK, None)
    assert names(found.train) == ["case0_0000"]
    assert names(found.held_out) == ["case2_0000"]


def test_what_a_list_holds_out_is_patients(dataset: Path, tmp_path: Path):
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).symlink_to(dataset / part)
    items = [
        {"image": f"imagesTr/case{n}_0000.nii.gz", "label": f"labelsTr/case{n}.nii.gz",
         "patient": patient}
        for n, patient in ((0, "a"), (2, "b"), (3, "b"), (4, "c"), (5, "c"))
    ]  # fmt: skip
    items[1]["fold"] = 0
    content = {"labels": {"1": "block"}, "training": items[:-1], "testing": items[-1:]}
    (tmp_path / "list.json").write_text(json.dumps(content))
    found = choose(tmp_path / "list.json", BLOCK, None)
    assert names(found.train) == ["case0_0000"]
    assert names(found.held_out) == ["case2_0000", "case3_0000"]


def test_labels_outside_the_map_are_background(dataset: Path):
    (case,) = choose(dataset, (Target("1", 346, "block"),), 1).train
    assert dict(case.mapping) == {1: 346}
    assert case.annotated == {346}


def test_what_is_measured(dataset: Path):
    (scan,) = choose(dataset, BLOCK, 1).measured
    assert scan.spacing == pytest.approx(4.0)
    assert scan.hounsfield
    assert scan.extent == (160.0, 160.0, 160.0)
    assert scan.masks[346].array.sum() == 12**3
    assert scan.range[0] < -900


@pytest.mark.parametrize("fault", ["axes", "negative"])
def test_labels_that_do_not_fit_are_refused(dataset: Path, tmp_path: Path, fault: str):
    shutil.copytree(dataset, tmp_path / "Dataset001_Made")
    path = tmp_path / "Dataset001_Made" / "labelsTr" / "case0.nii.gz"
    labels = draw(0)[1].astype(np.int16)
    affine = AFFINE.copy()
    if fault == "axes":
        affine[:3, 0] *= -1
        affine[:3, 3] -= affine[:3, 0] * (labels.shape[0] - 1)
        labels = labels[::-1].copy()
    else:
        labels[0, 0, 0] = -1
    nib.save(nib.Nifti1Image(labels, affine), path)
    with pytest.raises(GeometryError if fault == "axes" else InputError, match="case0"):
        choose(tmp_path / "Dataset001_Made", BLOCK, 1)


def test_a_cut_out_mask_lies_where_it_lay():
    mask = draw(0)[1] == 1
    small = cut_out(Volume(mask, AFFINE))
    assert small.array.shape == (14, 14, 14)
    voxel = np.argwhere(mask)[0]
    inner = np.argwhere(small.array)[0]
    assert np.allclose(AFFINE @ [*voxel, 1], small.affine @ [*inner, 1])


@pytest.mark.parametrize(
    ("label", "count", "error", "message"),
    [
        ("blok", None, UsageError, "did you mean block"),
        ("7", None, UsageError, "no label '7'"),
        ("block", 6, InputError, "5 of 6 scans"),
    ],
)
def test_what_the_data_set_does_not_have(dataset: Path, label: str, count, error, message: str):
    with pytest.raises(error, match=message):
        choose(dataset, (Target(label, 346, "block"),), count)


def test_one_data_set(dataset: Path, tmp_path: Path):
    for name in ("Dataset001_Made", "Dataset002_Other"):
        (tmp_path / name).symlink_to(dataset)
    with pytest.raises(InputError, match="point at one"):
        choose(tmp_path, BLOCK, 1)
