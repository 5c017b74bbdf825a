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
        ({"image": "."}, "is a folder: zip the DICOM series"),
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


def test_a_csv_in_another_encoding_says_so(tmp_path: Path):
    (tmp_path / "mine.csv").write_bytes("image,patient\na.nii.gz,Müller\n".encode("latin-1"))
    with pytest.raises(InputError, match="save it as CSV in UTF-8"):
        find_listings(tmp_path / "mine.csv")


def test_endings_in_capitals(tmp_path: Path):
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "MINE.CSV").write_text("image\na.nii.gz\n")
    assert [listing.name for listing in find_listings(tmp_path)] == ["MINE"]
    assert [listing.name for listing in find_listings(tmp_path / "MINE.CSV")] == ["MINE"]


@pytest.mark.parametrize("content", [{"training": None}, {"training": [], "testing": {"a": 1}}])
def test_a_datalist_without_a_list(tmp_path: Path, content: dict[str, object]):
    with pytest.raises(InputError, match="a list of scans is needed"):
        find_listings(_datalist(tmp_path, **content))


def test_labels_of_a_case_that_are_no_list(data_set: Callable[..., Path]):
    with pytest.raises(InputError, match="`annotated` is 5, a list"):
        find_listings(data_set(1, cases=[{"case": "p0", "annotated": 5}]))
    with pytest.raises(InputError, match="`cases` is 5, a list"):
        find_listings(data_set(1, cases=5))


def test_other_files_beside_data_sets_are_passed_over(
    data_set: Callable[..., Path], caplog: pytest.LogCaptureFixture
):
    root = data_set(1).parent
    (root / "notes.json").write_text('["of", "a", "colleague"]')
    (root / "splits.json").write_text('{"seed": 1}')
    (root / "volumes.csv").write_text("case,ml\np0,12\n")
    (root / "odd.csv").write_bytes(b"image\n\xe4.nii\n")
    assert [listing.name for listing in find_listings(root)] == ["Dataset001_Made"]
    assert [message.split(" (")[0].rsplit("/", 1)[-1] for message in caplog.messages] == [
        "notes.json holds a JSON list, an object is needed", "odd.csv cannot be read as CSV",
    ]  # fmt: skip
    with pytest.raises(InputError, match="it must name the columns"):
        find_listings(root / "volumes.csv")


def test_two_data_sets_of_one_name(data_set: Callable[..., Path]):
    root = data_set(1).parent
    (root / "Dataset001_Made.csv").write_text("image\nDataset001_Made/imagesTr/p0_0000.nii.gz\n")
    with pytest.raises(InputError, match="are both called 'Dataset001_Made': rename one"):
        find_listings(root)


def test_an_empty_folder_says_what_it_may_hold(tmp_path: Path):
    with pytest.raises(InputError, match="point at a folder of nnU-Net raw data sets"):
        find_listings(tmp_path)


def test_damaged_json(tmp_path: Path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        find_listings(tmp_path)
