import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vista3d.errors import InputError
from vista3d.training.data.cases import read_cases
from vista3d.training.data.splits import Shares, place, split_of

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(names, st.integers(0, 5))
def test_a_patient_is_on_one_side_and_stays_there(patient: str, seed: int):
    assert 0 <= place(patient, seed) < 1
    assert split_of(patient, Shares(), seed) == split_of(patient, Shares(), seed)


@given(names)
def test_giving_the_test_share_to_training_moves_no_validation_patient(patient: str):
    before = split_of(patient, Shares(0.6, 0.2, 0.2))
    after = split_of(patient, Shares(0.8, 0.2, 0.0))
    assert after == ("train" if before == "test" else before)


def test_shares_of_many_patients_are_64_16_20():
    sides = [split_of(f"patient {n}", Shares()) for n in range(5000)]
    assert sides.count("train") / 5000 == pytest.approx(0.64, abs=0.02)
    assert sides.count("validation") / 5000 == pytest.approx(0.16, abs=0.02)
    assert sides.count("test") / 5000 == pytest.approx(0.20, abs=0.02)


def test_the_seed_draws_other_patients():
    sides = [{n for n in range(200) if split_of(str(n), Shares(), s) == "test"} for s in (0, 1)]
    assert sides[0] != sides[1]


def test_shares_must_be_shares():
    with pytest.raises(InputError, match="sum to 1"):
        Shares(0.7, 0.2, 0.2)


def _two_scans_each(folder: Path) -> list[dict[str, object]]:
    """Entries of 40 patients with two scans, a and b, and their files."""
    rows: list[dict[str, object]] = []
    for n in range(40):
        for scan in "ab":
            name = f"{n}{scan}.nii"
            (folder / name).write_bytes(b"")
            rows.append({"image": name, "label": name, "patient": str(n)})
    return rows


def test_two_scans_of_a_patient_stay_together(tmp_path: Path):
    rows = _two_scans_each(tmp_path)
    (tmp_path / "list.json").write_text(json.dumps({"training": rows, "labels": {"1": "liver"}}))
    sides = {
        split: {case.patient for case in read_cases(tmp_path, split)}
        for split in ("train", "validation", "test")
    }
    assert sum(len(patients) for patients in sides.values()) == 40
    assert all(sides.values())


@pytest.mark.parametrize(("label", "mirrored"), [("spleen", False), ("left kidney", True)])
def test_only_scans_without_an_organ_of_one_side_are_mirrored(
    tmp_path: Path, label: str, mirrored: bool
):
    (tmp_path / "a.nii").write_bytes(b"")
    row = {"image": "a.nii", "label": "a.nii"}
    text = json.dumps({"training": [row], "labels": {"1": label}})
    (tmp_path / "list.json").write_text(text)
    assert [case.source.mirror for case in read_cases(tmp_path)] == [mirrored]


def test_the_corpus_holds_out_the_same_patients_as_ever(corpus: Path):
    held_out = {c.name for c in read_cases(corpus / "Dataset101_OpenKBP", "validation")}
    train = {c.name for c in read_cases(corpus / "Dataset101_OpenKBP", "train")}
    assert (len(held_out), len(train)) == (48, 182)
    assert not held_out & train
    assert all((place(name, 0) < 0.2) == (name in held_out) for name in held_out | train)
    assert read_cases(corpus / "Dataset101_OpenKBP", "test") == []


def test_scans_that_a_list_keeps_for_tests_are_not_trained_on(tmp_path: Path):
    """And nobody else is kept for them."""
    rows = []
    for n in range(60):
        (tmp_path / f"{n}.nii").write_bytes(b"")
        rows.append({"image": f"{n}.nii", "label": f"{n}.nii"})
    content = {"training": rows[:40], "testing": rows[40:], "labels": {"1": "liver"}}
    (tmp_path / "list.json").write_text(json.dumps(content))
    _check_sides(tmp_path, {str(n) for n in range(40, 60)})


def test_all_scans_of_a_patient_go_where_one_of_them_is_listed(tmp_path: Path):
    rows = _two_scans_each(tmp_path)
    rows[1]["fold"], rows[3]["fold"], rows[4]["fold"] = 0, 1, 2
    content = {"training": rows[:-1], "testing": rows[-1:], "labels": {"1": "liver"}}
    (tmp_path / "list.json").write_text(json.dumps(content))
    sides = {
        split: sorted(case.name for case in read_cases(tmp_path, split))
        for split in ("train", "validation", "test")
    }
    assert sides["test"] == ["39a", "39b"]
    assert {"0a", "0b"} <= set(sides["validation"])
    assert {"1a", "1b", "2a", "2b"} <= set(sides["train"])


def test_labels_for_tests_of_nnunet_are_not_trained_on(tmp_path: Path):
    for part, numbers in (("Tr", range(40)), ("Ts", range(40, 60))):
        for kind in ("images", "labels"):
            (tmp_path / f"{kind}{part}").mkdir()
        for n in numbers:
            (tmp_path / f"images{part}" / f"{n}_0000.nii.gz").write_bytes(b"")
            (tmp_path / f"labels{part}" / f"{n}.nii.gz").write_bytes(b"")
    content = {"labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    _check_sides(tmp_path, {str(n) for n in range(40, 60)})


def _check_sides(folder: Path, tested: set[str]) -> None:
    assert {case.name for case in read_cases(folder, "test")} == tested
    train, held_out = (read_cases(folder, side) for side in ("train", "validation"))
    assert len(train) + len(held_out) == 40
    assert train
    assert held_out
