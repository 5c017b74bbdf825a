"""A folder of masks, renewed without leaving old masks or touching other files."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np

from tests.results.conftest import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY
from vista3d.results import write_per_class
from vista3d.results.per_class import INDEX, plain_names


def test_every_class_gets_a_mask_even_when_it_is_empty(tmp_path, labels, volume):
    paths = write_per_class(tmp_path / "seg", labels, volume, [LIVER, LEFT_KIDNEY])
    assert [path.name for path in paths] == ["liver.nii.gz", "left_kidney.nii.gz"]
    liver, kidney = (nib.load(path) for path in paths)
    assert liver.get_data_dtype() == np.uint8
    assert (np.asarray(liver.dataobj) == (labels == LIVER)).all()
    assert not np.asarray(kidney.dataobj).any()


def test_masks_of_an_earlier_run_go_and_other_files_stay(tmp_path, labels, volume):
    write_per_class(tmp_path, labels, volume, [LIVER, RIGHT_KIDNEY])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "tumour.nii.gz").write_bytes(b"mine too")
    write_per_class(tmp_path, labels, volume, [RIGHT_KIDNEY])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"right_kidney.nii.gz", INDEX, "notes.txt", "tumour.nii.gz"}


def test_an_index_cannot_remove_files_elsewhere(tmp_path, labels, volume):
    victim = tmp_path / "victim.nii.gz"
    victim.write_bytes(b"keep")
    folder = tmp_path / "seg"
    folder.mkdir()
    entries = [{"file": "../victim.nii.gz"}, {"file": str(victim)}]
    (folder / INDEX).write_text(json.dumps({"labels": entries}))
    write_per_class(folder, labels, volume, [LIVER])
    assert victim.read_bytes() == b"keep"


def test_a_damaged_index_is_replaced(tmp_path, labels, volume):
    (tmp_path / INDEX).write_text("{")
    write_per_class(tmp_path, labels, volume, [LIVER])
    assert json.loads((tmp_path / INDEX).read_text())["labels"][0]["file"] == "liver.nii.gz"


def test_file_names_are_plain_and_unique():
    from vista3d.anatomy import STRUCTURES

    names = plain_names(STRUCTURES.values())
    assert len(set(names)) == len(names)
    assert all(name.isascii() and " " not in name and "/" not in name for name in names)


def test_masks_of_names_that_differ_by_signs_alone_are_all_written(tmp_path, labels, volume):
    from vista3d.anatomy import new_structure

    named = ("Lesion", "lesion", "\u809d")
    ids = (LIVER, LEFT_KIDNEY, RIGHT_KIDNEY)
    things = [new_structure(i, name) for i, name in zip(ids, named, strict=True)]
    paths = write_per_class(tmp_path / "seg", labels, volume, things)
    assert len({path.name for path in paths}) == 3
    for thing, path in zip(things, paths, strict=True):
        assert not path.name.startswith(".")
        assert (np.asarray(nib.load(path).dataobj) == (labels == thing.id)).all()
