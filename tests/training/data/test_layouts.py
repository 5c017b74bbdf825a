import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vista3d.errors import InputError
from vista3d.training.data.layouts import find_listings


def _datalist(folder: Path, **content: object) -> Path:
    for name in ("a.nii.gz", "b.nii.gz", "c.nii.gz"):
        (folder / name).touch()
    file = folder / "list.json"
    file.write_text(json.dumps(content))
    return file


def test_nnunet_lists_cases_from_the_files(data_set: Callable[..., Path]):
    folder = data_set(2)
    (folder / "labelsTr" / "p1.nii.gz").unlink()
    (listing,) = find_listings(folder)
    assert listing.name == "Dataset001_Made"
    assert listing.labels["kidney_right"] == 4
    assert "background" not in listing.labels
    assert [(e.name, e.label is not None) for e in listing.entries] == [("p0", True), ("p1", False)]


def test_nnunet_cases_may_be_partially_labelled(data_set: Callable[..., Path]):
    told = {"case": "p0", "annotated": ["liver"], "patient": "x"}
    (listing,) = find_listings(data_set(1, cases=[told], license="CC BY 4.0"))
    (entry,) = listing.entries
    assert listing.licence == "CC BY 4.0"
    assert (entry.annotated, entry.patient) == (("liver",), "x")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"labels": {"liver": [1, 2]}}, "one integer >= 0"),
        ({"labels": {"liver": 1, "spleen": 1}}, "share the value 1"),
        ({"cases": [{"case": "gone"}]}, "has neither imagesTr/gone_0000.nii.gz"),
        ({"cases": [{"name": "p0"}]}, "has no `case`"),
        ({"cases": [{"case": "../../p0"}]}, "leaves the folder"),
        ({"cases": [{"case": "p0"}, {"case": "p0"}]}, "twice"),
    ],
)
def test_nnunet_refusals(data_set: Callable[..., Path], extra: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        find_listings(data_set(1, **extra))


def test_datalist_follows_the_official_keys(tmp_path: Path):
    file = _datalist(
        tmp_path,
        training=[
            {"image": "a.nii.gz", "label": "b.nii.gz", "fold": 0, "pseudo_label": "c.nii.gz"},
            {"image": "b.nii.gz", "fold": 3, "pseudo_label": "c.nii.gz", "label_sv": "a.nii.gz",
             "pseudo_label_reliability": 0},
        ],
        testing=["c.nii.gz"],
        label_dict={"0": "background", "2": "liver"},
    )  # fmt: skip
    (listing,) = find_listings(file)
    one, two, three = listing.entries
    assert (listing.name, dict(listing.labels)) == ("list", {"liver": 2})
    assert (one.split, two.split, three.split) == ("validation", "train", "test")
    assert one.pseudo == tmp_path / "c.nii.gz"
    assert two.pseudo is None  # marked unreliable
    assert two.supervoxels == tmp_path / "a.nii.gz"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"image": "/etc/a.nii.gz"}, "leaves the folder"),
        ({"image": "x/../../a.nii.gz"}, "leaves the folder"),
        ({"image": "gone.nii.gz"}, "does not exist"),
        ({"fold": 1}, "neither `image` nor `label`"),
    ],
)
def test_datalist_refusals(tmp_path: Path, item: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        find_listings(_datalist(tmp_path, training=[item]))


def test_csv(tmp_path: Path):
    for name in ("a.nii.gz", "a_seg.nii.gz"):
        (tmp_path / name).touch()
    text = "image,label,patient,annotated\na.nii.gz,a_seg.nii.gz,P1,1;3\n"
    (tmp_path / "mine.csv").write_text(text)
    (listing,) = find_listings(tmp_path)
    (entry,) = listing.entries
    assert (listing.name, entry.name, entry.patient) == ("mine", "a", "P1")
    assert entry.annotated == ("1", "3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,lable\na.nii.gz,a.nii.gz\n", "it must name the columns"),
        ("image,label\n,\n", "line 2 has neither"),
        ("image\n../a.nii.gz\n", "leaves the folder"),
        ("image\ngone.nii.gz\n", "does not exist"),
    ],
)
def test_csv_refusals(tmp_path: Path, text: str, message: str):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        find_listings(tmp_path)


def test_an_empty_folder_says_what_it_may_hold(tmp_path: Path):
    with pytest.raises(InputError, match="point at a folder of nnU-Net raw data sets"):
        find_listings(tmp_path)


def test_damaged_json(tmp_path: Path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        find_listings(tmp_path)
