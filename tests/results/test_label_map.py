"""The label map: values, names in the header, sidecar."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import nibabel as nib
import numpy as np
import pytest

from tests.results.conftest import LIVER, RIGHT_KIDNEY
from vista3d.anatomy import by_id
from vista3d.errors import InputError
from vista3d.results import write_label_map
from vista3d.results.label_map import smallest_type


def _table(path):
    extension = nib.load(path).header.extensions[0]
    assert extension.get_code() == 0
    content = extension.get_content()
    text = content if isinstance(content, bytes) else content.encode()
    root = ElementTree.fromstring(text.rstrip(b"\0 "))
    # The path TotalSegmentator's reader takes.
    assert root.tag == "CaretExtension"
    return {int(e.get("Key")): e for e in root.find("VolumeInformation/LabelTable")}


def test_voxels_and_affine_come_back_exactly(tmp_path, labels, volume):
    path, _ = write_label_map(tmp_path / "a_seg.nii.gz", labels, volume, [LIVER, RIGHT_KIDNEY])
    image = nib.load(path)
    assert image.get_data_dtype() == np.uint8
    assert (np.asarray(image.dataobj) == labels).all()
    assert image.affine == pytest.approx(volume.affine, abs=1e-4)


def test_names_and_colours_are_in_the_header(tmp_path, labels, volume):
    path, _ = write_label_map(tmp_path / "a.nii.gz", labels, volume, [LIVER, RIGHT_KIDNEY])
    table = _table(path)
    assert {key: entry.text for key, entry in table.items()} == {1: "liver", 5: "right kidney"}
    red = float(table[LIVER].get("Red"))
    assert red == pytest.approx(by_id(LIVER).colour[0] / 255, abs=1e-5)


def test_a_single_class_still_makes_a_list(tmp_path, labels, volume):
    path, _ = write_label_map(tmp_path / "a.nii.gz", labels, volume, [LIVER])
    assert {key: entry.text for key, entry in _table(path).items()} == {
        0: "background",
        1: "liver",
    }


def test_the_sidecar_lists_the_classes_asked_for(tmp_path, labels, volume):
    path, beside = write_label_map(tmp_path / "a.b_seg.nii.gz", labels, volume, [LIVER, 14])
    assert beside == tmp_path / "a.b_seg.json"
    document = json.loads(beside.read_text())
    assert document["image"] == path.name
    assert [entry["name"] for entry in document["labels"]] == ["liver", "left kidney"]
    assert document["labels"][0]["colour"] == list(by_id(LIVER).colour)
    assert document["labels"][1]["laterality"] == "left"
    assert document["labels"][0]["type"]["scheme"] == "SCT"


def test_ids_above_255_need_two_bytes(tmp_path, labels, volume):
    wide = labels.astype(np.int64)
    wide[0, 0, 0] = 345
    path, _ = write_label_map(tmp_path / "a.nii.gz", wide, volume, [LIVER])
    image = nib.load(path)
    assert image.get_data_dtype() == np.uint16
    assert np.asarray(image.dataobj)[0, 0, 0] == 345


def test_small_labels_of_any_type_become_bytes(labels):
    assert smallest_type(labels.astype(np.int32)).dtype == np.uint8
    assert smallest_type(labels > 0).dtype == np.uint8
    assert np.shares_memory(smallest_type(labels), labels)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, 2, 2), -1), "from -1 to 0: a label map holds 0 to 65535"),
        (np.array([[[0, 70000]]]), "from 0 to 70000"),
        (np.zeros((2, 2, 2), np.float32), "not float32"),
    ],
)
def test_what_is_not_a_label_map_is_refused(array, message):
    with pytest.raises(InputError, match=message):
        smallest_type(array)
