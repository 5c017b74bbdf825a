"""Every finding of `data check`, on files that have exactly that fault."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.conftest import NAMES, RAS, patient, save
from vista3d.cli.main import main
from vista3d.training.data import check
from vista3d.training.data.check import Finding, check_folder, facts
from vista3d.volume import Volume

Make = Callable[..., Path]


def _kinds(folder: Path) -> list[tuple[str, str]]:
    return [(finding.case, finding.kind) for finding in check_folder(folder)]


def _one(folder: Path) -> Finding:
    (finding,) = check_folder(folder)
    assert finding.what
    assert finding.value
    assert finding.fix
    return finding


def _relabel(folder: Path, change: Callable[[np.ndarray], np.ndarray], case: str = "p0") -> None:
    save(folder / "labelsTr" / f"{case}.nii.gz", change(patient(int(case[1:]))[1]))


def _exchange(labels: np.ndarray, one: str, other: str) -> np.ndarray:
    out = labels.copy()
    out[labels == NAMES[one]], out[labels == NAMES[other]] = NAMES[other], NAMES[one]
    return out


def test_a_clean_data_set_has_no_finding(data_set: Make):
    assert check_folder(data_set(3)) == []


def test_other_shape(data_set: Make):
    folder = data_set(1)
    _relabel(folder, lambda labels: labels[:, :, 1:])
    finding = _one(folder)
    assert (finding.kind, finding.value) == ("grid", "(32, 32, 32) and (32, 32, 31)")


def test_same_shape_elsewhere(data_set: Make):
    folder = data_set(1)
    shifted = RAS.copy()
    shifted[0, 3] += 3
    save(folder / "labelsTr" / "p0.nii.gz", patient(0)[1], shifted)
    finding = _one(folder)
    assert finding.kind == "grid"
    assert "3.0 mm" in finding.value


def test_rounding_of_a_header_is_no_other_grid(data_set: Make):
    folder = data_set(1)
    shifted = RAS.copy()
    shifted[:3, 3] += 1e-3
    save(folder / "labelsTr" / "p0.nii.gz", patient(0)[1], shifted)
    assert check_folder(folder) == []


def test_unknown_value(data_set: Make):
    folder = data_set(1)

    def change(labels: np.ndarray) -> np.ndarray:
        labels[0, 0, :7] = 77
        return labels

    _relabel(folder, change)
    finding = _one(folder)
    assert (finding.case, finding.kind, finding.value) == ("p0", "unknown-label", "77 (7 voxels)")


def test_fractional_values(data_set: Make):
    folder = data_set(1)

    def change(labels: np.ndarray) -> np.ndarray:
        out = labels.astype(np.float32)
        out[0, 0, :5] = 0.4
        return out

    _relabel(folder, change)
    assert (_one(folder).kind, _one(folder).value) == ("label-values", "5 voxels")


def test_empty_label(data_set: Make):
    folder = data_set(1)
    _relabel(folder, np.zeros_like)
    assert _one(folder).kind == "empty-label"


def test_label_that_is_not_listed_as_annotated(data_set: Make):
    listed = ["liver", "spleen", "kidney_left", "kidney_right"]
    finding = _one(data_set(1, cases=[{"case": "p0", "annotated": listed}]))
    assert (finding.kind, finding.value) == ("not-annotated", "stomach")


def test_unknown_class_and_superclass(data_set: Make):
    folder = data_set(1, labels=NAMES | {"splen": 8, "kidney": 9})
    found = {f.kind: f for f in check_folder(folder)}
    assert found.keys() == {"unknown-class", "several-classes"}
    assert "did you mean spleen" in found["unknown-class"].fix


def test_a_patient_on_two_sides_of_a_list(data_set: Make):
    folder = data_set(2)
    items = [
        {"image": f"imagesTr/p{n}_0000.nii.gz", "label": f"labelsTr/p{n}.nii.gz", "patient": "a"}
        for n in (0, 1)
    ]
    values = {str(value): name for name, value in NAMES.items()}
    content = {"training": [items[0] | {"fold": 1}], "testing": items[1:], "labels": values}
    (folder / "list.json").write_text(json.dumps(content))
    finding = _one(folder / "list.json")
    assert (finding.kind, finding.value) == ("split", "p0_0000: train, p1_0000: test")
    assert "count as test" in finding.fix


def test_labels_where_there_is_no_image(data_set: Make):
    folder = data_set(1)
    hu = patient(0)[0]
    hu[:, :, :8] = -1000
    save(folder / "imagesTr" / "p0_0000.nii.gz", hu)
    finding = _one(folder)
    assert finding.kind == "blank-image"
    assert "kidney_left" in finding.value
    assert "liver" not in finding.value


def test_slices_that_are_blank_but_for_the_organ(data_set: Make):
    folder = data_set(1)
    hu, labels = patient(0)
    kept = (slice(21, 25), slice(8, 12), slice(0, 8))
    inside = hu[kept].copy()
    hu[:, :, :8], hu[kept] = -1000, inside
    labels[:, :, :8] = 0
    labels[kept] = NAMES["kidney_right"]
    save(folder / "imagesTr" / "p0_0000.nii.gz", hu)
    save(folder / "labelsTr" / "p0.nii.gz", labels)
    finding = _one(folder)
    assert finding.kind == "blank-image"
    assert "kidney_right" in finding.value


def test_labels_with_an_axis_too_many_or_in_colour(data_set: Make):
    folder = data_set(2)
    _relabel(folder, lambda labels: labels[..., None])
    assert check_folder(folder) == []
    colour = np.zeros((32, 32, 32), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    save(folder / "labelsTr" / "p0.nii.gz", colour)
    save(folder / "labelsTr" / "p1.nii.gz", np.stack([patient(1)[1]] * 2, axis=3))
    assert _kinds(folder) == [("p0", "unreadable"), ("p1", "unreadable")]


def test_unreadable(data_set: Make):
    folder = data_set(2)
    file = folder / "imagesTr" / "p1_0000.nii.gz"
    file.write_bytes(file.read_bytes()[:500])
    finding = _one(folder)
    assert (finding.case, finding.kind) == ("p1", "unreadable")


def test_not_ct(data_set: Make):
    folder = data_set(1)
    hu = patient(0)[0].astype(np.float32)
    save(folder / "imagesTr" / "p0_0000.nii.gz", (hu + 1300) / 3000)
    assert "scaled to [0, 1]" in next(f.value for f in check_folder(folder) if f.kind == "image")


def test_exchanged_names(data_set: Make):
    folder = data_set(1)
    _relabel(folder, lambda labels: _exchange(labels, "kidney_left", "kidney_right"))
    finding = _one(folder)
    assert finding.kind == "sides-labels"
    assert "1 of 1 pairs reversed" in finding.value


def test_mirrored_label_array(data_set: Make):
    folder = data_set(1)
    _relabel(folder, lambda labels: labels[::-1].copy())
    assert _one(folder).kind == "sides-array"


@pytest.mark.parametrize(
    ("header", "spine", "kind", "fix"),
    [
        ((-1, 1, 1), True, "sides-scan", "negate the first row of the affine in"),
        ((-1, -1, 1), True, "sides-turned", "negate the first two rows of the affine in"),
        ((-1, -1, 1), False, "sides-header", "look where the table lies"),
        ((-1, 1, 1), False, "sides-header", "look where the table lies"),
    ],
)
def test_a_header_that_exchanges_left_and_right(
    data_set: Make, header: tuple[int, ...], spine: bool, kind: str, fix: str
):
    """For scan and labels alike; what tells mirrored from turned is that the spine is behind."""
    folder = data_set(1, labels=NAMES | {"sacrum": 6})
    hu, labels = patient(0)
    if spine:
        labels[14:18, 5:8, 2:10], hu[14:18, 5:8, 2:10] = 6, 700
    wrong = np.diag([*header, 1.0]) @ RAS
    save(folder / "imagesTr" / "p0_0000.nii.gz", hu, wrong)
    save(folder / "labelsTr" / "p0.nii.gz", labels, wrong)
    finding = _one(folder)
    assert finding.kind == kind
    assert finding.fix.startswith(fix)


def test_an_lps_header_is_not_mirrored(data_set: Make):
    folder = data_set(1)
    hu, labels = patient(0)
    lps = np.diag([-1.0, -1, 1, 1]) @ RAS
    save(folder / "imagesTr" / "p0_0000.nii.gz", hu[::-1, ::-1].copy(), lps)
    save(folder / "labelsTr" / "p0.nii.gz", labels[::-1, ::-1].copy(), lps)
    assert check_folder(folder) == []


def test_situs_inversus_or_mirrored_before_labelling(data_set: Make):
    folder = data_set(1)
    hu, labels = patient(0)
    labels = _exchange(labels[::-1], "kidney_left", "kidney_right")
    save(folder / "imagesTr" / "p0_0000.nii.gz", hu[::-1].copy())
    save(folder / "labelsTr" / "p0.nii.gz", labels)
    assert _one(folder).kind == "sides-anatomy"


def test_no_organ_says_which(data_set: Make):
    folder = data_set(1)

    def change(labels: np.ndarray) -> np.ndarray:
        labels[labels < NAMES["kidney_left"]] = 0
        labels[labels == NAMES["stomach"]] = 0
        return _exchange(labels, "kidney_left", "kidney_right")

    _relabel(folder, change)
    assert _one(folder).kind == "sides-unclear"


def test_the_same_scan_twice(data_set: Make):
    folder = data_set(2)
    save(folder / "imagesTr" / "p1_0000.nii.gz", patient(0)[0])
    save(folder / "labelsTr" / "p1.nii.gz", patient(0)[1])
    finding = _one(folder)
    assert (finding.case, finding.kind, finding.value) == (
        "p0", "duplicate", "Dataset001_Made/p1",
    )  # fmt: skip


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_same_scan_resampled(data_set: Make, mirrored: bool):
    """To 2/3 of the voxels a side, covering the same space."""
    from vista3d.volume.resample import resample
    from vista3d.volume.volume import Volume

    folder = data_set(3)
    hu = np.kron(patient(0)[0], np.ones((2, 2, 2)))
    fine = RAS @ np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] -= 1
    grid = Volume(np.empty((43, 43, 43)), RAS @ np.diag([0.75, 0.75, 0.75, 1])).geometry
    scan = resample(hu, Volume(hu, fine).geometry, grid)
    if mirrored:
        scan = scan[::-1].copy()
    save(folder / "imagesTr" / "p2_0000.nii.gz", scan, grid.affine)
    save(folder / "labelsTr" / "p2.nii.gz", np.zeros(grid.shape, np.uint8), grid.affine)
    found = [f for f in check_folder(folder) if f.kind == "near-duplicate"]
    assert [f.case for f in found] == ["p0"]
    assert "p2" in found[0].value
    assert ("mirrored" in found[0].what) == mirrored


def test_a_pass_takes_a_few_bytes_a_voxel():
    """The volumes are there already; indices of all labelled voxels would take tens of bytes."""
    hu = np.full((64, 64, 128), -1000, np.int16, order="F")
    hu[8:56, 8:56] = 40
    labels = np.asfortranarray((hu > 0).astype(np.uint8))
    labels[32:] *= 2
    scan, drawn = Volume(hu, np.eye(4)), Volume(labels, np.eye(4))
    tracemalloc.start()
    try:
        found = facts._measure(scan, drawn)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.voxels == {1: 24 * 48 * 128, 2: 24 * 48 * 128}
    assert found.centroids == {1: (19.5, 31.5, 63.5), 2: (43.5, 31.5, 63.5)}
    assert peak < 4 * hu.size


@pytest.mark.parametrize(("free", "workers"), [(None, 8), (10 * 2**30, 3), (2**20, 1)])
def test_workers_fit_the_memory(monkeypatch: pytest.MonkeyPatch, free: int | None, workers: int):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("vista3d.inference.budget.available_memory", lambda: free)
    assert check._workers() == workers


def test_a_real_torso_turned_around_is_noticed(corpus: Path, tmp_path: Path):
    """89 real structures: clean as they are, and each fault under its own name."""
    import nibabel as nib

    source = corpus / "Dataset103_TorsoPseudo"
    assert check_folder(source) == []
    content = json.loads((source / "dataset.json").read_text())
    content["cases"] = [case for case in content["cases"] if case["case"] == "lidc_0001"]
    folder = tmp_path / "Dataset103_TorsoPseudo"
    image = nib.load(source / "imagesTr" / "lidc_0001_0000.nii.gz")
    label = nib.load(source / "labelsTr" / "lidc_0001.nii.gz")
    hu, ids = np.asarray(image.dataobj)[::2, ::2], np.asarray(label.dataobj)[::2, ::2]
    affine = image.affine @ np.diag([2.0, 2, 1, 1])
    (folder / "labelsTr").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(content))
    save(folder / "imagesTr" / "lidc_0001_0000.nii.gz", hu, affine)
    save(folder / "labelsTr" / "lidc_0001.nii.gz", ids[::-1].copy(), affine)
    # Mirrored, some labels also lie beside the body.
    assert {f.kind for f in check_folder(folder)} - {"blank-image"} == {"sides-array"}
    save(folder / "imagesTr" / "lidc_0001_0000.nii.gz", hu[::-1].copy(), affine)
    assert {f.kind for f in check_folder(folder)} == {"sides-scan"}
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    save(folder / "imagesTr" / "lidc_0001_0000.nii.gz", hu, lps)
    save(folder / "labelsTr" / "lidc_0001.nii.gz", ids, lps)
    assert {f.kind for f in check_folder(folder)} == {"sides-turned"}


def test_command_prints_fixes_and_exits_3(data_set: Make, capsys: pytest.CaptureFixture[str]):
    folder = data_set(2)
    _relabel(folder, np.zeros_like)
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", str(folder)])
    assert stop.value.code == 3
    out = capsys.readouterr().out
    assert "Dataset001_Made/p0: [empty-label]" in out
    assert "fix: drop the case" in out
    with pytest.raises(SystemExit):
        main(["data", "check", str(folder), "--json"])
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding["case"] == "p0"


def test_command_on_clean_data_exits_0(data_set: Make, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", str(data_set(1))])
    assert stop.value.code == 0
    assert "no problems found" in capsys.readouterr().out


def test_table_counts_cases(data_set: Make, capsys: pytest.CaptureFixture[str]):
    listed = [{"case": "p0", "annotated": ["liver"]}, {"case": "p1"}]
    with pytest.raises(SystemExit) as stop:
        main(["data", "table", str(data_set(2, cases=listed)), "--json"])
    assert stop.value.code == 0
    (content,) = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in content["labels"]}
    assert (rows["liver"]["annotated"], rows["spleen"]["annotated"]) == (2, 1)
    assert (rows["liver"]["found"], rows["liver"]["class"]) == (2, "liver")


def test_unknown_action(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["data", "chekc", str(tmp_path)])
    assert stop.value.code == 2
    assert "unknown action 'chekc'" in capsys.readouterr().err


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A list of two columns: masks that are 0 and 1, and no names."""
    rows = ["image,label"]
    for n in range(3):
        hu, labels = patient(n)
        save(tmp_path / f"ct{n}.nii.gz", hu)
        save(tmp_path / f"mask{n}.nii.gz", (labels == NAMES["liver"]).astype(np.uint8))
        rows.append(f"ct{n}.nii.gz,mask{n}.nii.gz")
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(rows))
    return file


def test_values_of_a_list_without_names_are_one_finding(
    masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    finding = _one(masks)
    assert (finding.dataset, finding.case, finding.kind) == ("mine", "", "unknown-label")
    assert finding.value == "1"
    assert '"labels" of a mapping file' in finding.fix
    assert "clear" not in finding.fix
    with pytest.raises(SystemExit):
        main(["data", "check", str(masks)])
    assert "error: 1 finding in 1 place\n" in capsys.readouterr().err
    # Named, there is nothing to find.
    named = tmp_path / "mapping.json"
    named.write_text(json.dumps({"datasets": {"mine": {"labels": {"1": "liver"}}}}))
    assert check_folder(masks, named) == []


def test_a_table_without_labels_says_how_to_name_them(
    masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        main(["data", "table", str(masks)])
    shown = capsys.readouterr().out
    assert "the list names no labels; its files have 1 in 3" in shown
    # What it says to write works.
    named = tmp_path / "mapping.json"
    named.write_text(shown[shown.index('{"datasets"') :])
    with pytest.raises(SystemExit):
        main(["data", "table", str(masks), "--mapping", str(named)])
    shown = capsys.readouterr().out
    assert "liver" in shown
    assert "names no labels" not in shown
