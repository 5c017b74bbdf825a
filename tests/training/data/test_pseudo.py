import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.training.data.conftest import patient, save
from vista3d import volume as vol
from vista3d.cli.main import main
from vista3d.errors import InputError, UsageError
from vista3d.inference.automatic import Segmentation
from vista3d.training.data.case import PseudoLabel
from vista3d.training.data.cases import read_cases
from vista3d.training.data.prepared import prepare_arrays
from vista3d.training.data.pseudo import attach, label_cases
from vista3d.training.data.reliability import assess
from vista3d.training.data.teachers import Lesson, ModelTeacher, teacher
from vista3d.training.data.totalsegmentator import TotalSegmentator

LIVER, SPLEEN, STOMACH, DUODENUM = 1, 3, 12, 13
KNOWN = frozenset({LIVER, SPLEEN})
SPACING = (4.0, 4.0, 4.0)


def _labels() -> np.ndarray:
    """A liver of 1.7 L and a spleen of 0.2 L in voxels of 4 mm."""
    labels = np.zeros((60, 60, 60), np.int16)
    labels[20:50, 20:50, 20:50] = LIVER
    labels[5:15, 5:20, 5:25] = SPLEEN
    return labels


def _doubts(labels: np.ndarray, *second: np.ndarray) -> dict[int, str]:
    other = (second[0], KNOWN) if second else None
    found = assess(labels, SPACING, KNOWN, other)
    return {each.class_id: " ".join(each.doubts) for each in found.doubted}


def test_plausible_labels_are_believed():
    verdict = assess(_labels(), SPACING, KNOWN, (_labels(), KNOWN))
    assert verdict.reasons == ()
    assert verdict.trusted == KNOWN
    assert [round(each.millilitres) for each in verdict.classes] == [1728, 192]
    assert all(each.dice == 1 and each.share == 1 for each in verdict.classes)


def test_pieces():
    labels = _labels()
    labels[5:15, 40:55, 5:25] = SPLEEN
    assert _doubts(labels)[SPLEEN].startswith("pieces: largest component 0.50")
    labels[0:15, 40:55, 5:25] = SPLEEN  # cut by the border: may be one organ
    assert SPLEEN not in _doubts(labels)


def test_volume():
    labels = _labels()
    labels[20:48, 20:50, 20:50] = 0  # 115 mL of liver are left
    assert _doubts(labels)[LIVER].startswith("volume: 115.2 mL, adults have 500 to 4000")
    cut = np.zeros_like(labels)
    cut[:2, 20:50, 20:50] = LIVER
    assert _doubts(cut) == {}  # the rest is outside the scan


def test_every_range_is_of_the_organ_it_names():
    from vista3d import anatomy
    from vista3d.training.data import reliability

    named = {anatomy.by_id(i).name: limits for i, limits in reliability._ranges().items()}
    assert named == reliability._MILLILITRES


def test_second_teacher_disagrees():
    moved = np.roll(_labels(), 8, axis=2)
    assert "Dice 0.60" in _doubts(_labels(), moved)[SPLEEN]
    smaller = _labels()
    smaller[20:50, 20:50, 35:50] = 0
    assert "largest components of 1728.0 and 864.0 mL" in _doubts(_labels(), smaller)[LIVER]


def test_second_teacher_sees_what_the_first_missed():
    without = np.where(_labels() == SPLEEN, 0, _labels())
    assert _doubts(without, _labels()) == {SPLEEN: "missing: the second teacher draws 192.0 mL"}
    assert _doubts(without) == {}


def test_a_scan_of_doubted_classes_is_unreliable():
    verdict = assess(_labels(), SPACING, KNOWN, (np.roll(_labels(), 8, axis=2), KNOWN))
    assert verdict.reasons[0].startswith("1 of 2 classes doubted (50%, at most 20%): spleen")
    assert assess(np.zeros((4, 4, 4), np.int16), SPACING, KNOWN).reasons == (
        "the teacher found nothing",
    )


@dataclass(frozen=True)
class Recorded:
    """A teacher that knows the made-up patients by heart: stomach, and a spleen called duodenum.

    Their organs are small; of these two that is no reason for doubt.
    """

    classes: frozenset[int] = frozenset({STOMACH, DUODENUM})
    name: str = "recorded"
    identity: str = "1"

    def label(self, scan: Path) -> Lesson:
        _, labels = patient(int(scan.name[1]))
        if scan.name.startswith("p2"):
            raise InputError("p2 is too much")
        table = np.array([0, 0, DUODENUM, 0, 0, STOMACH])
        return Lesson(self.name, "1", table[labels], self.classes)


def test_scans_are_labelled_once_and_attached(data_set: Callable[..., Path], tmp_path: Path):
    listed = [{"case": f"p{n}", "annotated": ["stomach"]} for n in range(3)]
    cases = read_cases(data_set(3, cases=listed), None)
    out = tmp_path / "pseudo"
    states = [outcome.state for outcome in label_cases(cases, out, Recorded(), Recorded())]
    assert states == ["reliable", "reliable", "failed"]
    again = [outcome.state for outcome in label_cases(cases, out, Recorded(), Recorded())]
    assert again == ["skipped", "skipped", "failed"]
    about = json.loads((out / "Dataset001_Made" / "p0.json").read_text())
    assert (about["teacher"], about["version"], about["reliable"]) == ("recorded", "1", True)
    assert about["classes"] == {"12": "stomach", "13": "duodenum"}
    written = vol.read(out / "Dataset001_Made" / "p0.nii.gz")
    np.testing.assert_array_equal(written.affine, vol.read(cases[0].image or "").affine)
    attached = attach(cases, out)
    assert attached[0].pseudo is not None
    assert attached[0].pseudo.classes == {DUODENUM}  # the stomach is the annotator's
    assert attached[2].pseudo is None
    # A changed scan is labelled again.
    assert cases[1].image is not None
    save(cases[1].image, patient(1)[0] + 1)
    states = [outcome.state for outcome in label_cases(cases[:2], out, Recorded(), Recorded())]
    assert states == ["skipped", "reliable"]
    # So it is by another model of the same name, first or second.
    other = Recorded(identity="2")
    for pair in ((other, Recorded()), (other, other)):
        assert [each.state for each in label_cases(cases[:1], out, *pair)] == ["reliable"]
        assert [each.state for each in label_cases(cases[:1], out, *pair)] == ["skipped"]


@pytest.mark.parametrize("content", [{}, {"reliable": True}, {"reliable": 1, "trusted": "all"}])
def test_a_verdict_without_its_parts(
    data_set: Callable[..., Path], tmp_path: Path, content: dict[str, object]
):
    cases = read_cases(data_set(1), None)
    folder = tmp_path / "pseudo" / "Dataset001_Made"
    save(folder / "p0.nii.gz", patient(0)[1])
    (folder / "p0.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"p0\.json does not say `reliable`"):
        attach(cases, tmp_path / "pseudo")


def test_a_scan_of_another_dimension_does_not_stop_the_others(
    data_set: Callable[..., Path], tmp_path: Path
):
    cases = read_cases(data_set(3), None)
    assert cases[0].image is not None
    assert cases[1].image is not None
    save(cases[0].image, patient(0)[0][..., None])
    save(cases[1].image, np.stack([patient(1)[0]] * 2, axis=3))
    cases = [cases[1], cases[0]]
    outcomes = list(label_cases(cases, tmp_path / "pseudo", Recorded()))
    assert [outcome.state for outcome in outcomes] == ["failed", "reliable"]
    assert "4D" in outcomes[0].reasons[0]


def test_scans_that_nobody_annotated_are_learned_from(
    data_set: Callable[..., Path], tmp_path: Path
):
    folder, out = data_set(2), tmp_path / "pseudo"
    states = [o.state for o in label_cases(read_cases(folder, None), out, Recorded(), Recorded())]
    assert states == ["reliable"] * 2
    (folder / "labelsTr" / "p1.nii.gz").unlink()
    assert [case.name for case in read_cases(folder, None)] == ["p0"]
    cases = read_cases(folder, None, pseudo=out)
    assert [(case.name, case.label is None) for case in cases] == [("p0", False), ("p1", True)]
    assert cases[1].pseudo is not None
    assert cases[1].pseudo.classes == {STOMACH, DUODENUM}


def test_where_undrawn_means_nothing_the_teacher_draws(
    data_set: Callable[..., Path], tmp_path: Path
):
    """The stomach is on the annotator's list of both scans, and drawn in one of them."""
    listed = [{"case": f"p{n}", "annotated": ["stomach", "liver"]} for n in range(2)]
    folder, out = data_set(2, cases=listed), tmp_path / "pseudo"
    list(label_cases(read_cases(folder, None), out, Recorded(), Recorded()))
    labels = patient(0)[1]
    stomach = labels == 5
    save(folder / "labelsTr" / "p0.nii.gz", np.where(stomach, 0, labels))
    cases = read_cases(folder, None)
    source = replace(cases[0].source, complete=False)
    blank, drawn = attach([replace(case, source=source) for case in cases], out)
    assert blank.pseudo is not None
    assert blank.pseudo.classes == {STOMACH, DUODENUM}
    spacing = 4.0
    with_teacher = prepare_arrays(blank, spacing).labels
    alone = prepare_arrays(replace(blank, pseudo=None), spacing).labels
    assert (with_teacher == STOMACH).sum() > 0 == (alone == STOMACH).sum()
    # What the annotator drew is not added to.
    moved = np.roll(patient(1)[1], 3, 0)
    save(folder / "labelsTr" / "p1.nii.gz", moved)
    with_teacher = prepare_arrays(drawn, spacing).labels
    alone = prepare_arrays(replace(drawn, pseudo=None), spacing).labels
    np.testing.assert_array_equal(with_teacher == STOMACH, alone == STOMACH)


def test_scans_with_a_taught_organ_of_one_side_are_not_mirrored(
    data_set: Callable[..., Path], tmp_path: Path
):
    """Whatever their own labels are."""
    folder, out = data_set(1), tmp_path / "pseudo"
    (case,) = read_cases(folder, None)
    case = replace(case, source=replace(case.source, mirror=True), annotated=frozenset())
    path = save(out / "taught.nii.gz", patient(0)[1])
    for class_id, mirrored in ((STOMACH, False), (DUODENUM, True)):
        taught = replace(case, pseudo=PseudoLabel(path, frozenset({class_id})))
        assert taught.may_be_mirrored is mirrored
    assert case.may_be_mirrored
    assert not replace(case, source=replace(case.source, mirror=False)).may_be_mirrored


def test_an_unreliable_scan_is_not_attached(data_set: Callable[..., Path], tmp_path: Path):
    cases = read_cases(data_set(1), None)
    empty = Recorded(frozenset())
    (outcome,) = label_cases(cases, tmp_path / "pseudo", empty)
    assert (outcome.state, outcome.reasons) == ("doubted", ("the teacher found nothing",))
    assert attach(cases, tmp_path / "pseudo")[0].pseudo is None


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `totalsegmentator` for the child process: thresholds instead of a network."""
    package = tmp_path / "site" / "totalsegmentator"
    package.mkdir(parents=True)
    files = {
        "__init__.py": "",
        "map_to_binary.py": 'class_map = {"total": {1: "spleen", 5: "liver", 9: "no_such"}}',
        "config.py": """
            def setup_totalseg():
                pass

            def set_config_key(key, value):
                assert (key, value) == ("send_usage_stats", False)
        """,
        "python_api.py": """
            import nibabel as nib
            import numpy as np

            def totalsegmentator(input, output, ml, task, fast, device, quiet):
                assert (output, ml, task, quiet) == (None, True, "total", True)
                if device == "gpu":
                    raise RuntimeError("no GPU here")
                hu = np.asarray(input.dataobj)
                found = np.select([hu > 2000, hu > 1000], [5, 1], 9 if fast else 0)
                return nib.Nifti1Image(found.astype(np.uint8), input.affine)
        """,
    }
    for name, text in files.items():
        (package / name).write_text(textwrap.dedent(text))
    about = tmp_path / "site" / "totalsegmentator-2.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: TotalSegmentator\nVersion: 2.9\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    hu = np.zeros((10, 11, 12), np.int16)
    hu[2:5], hu[6:9] = 1500, 2500
    return save(tmp_path / "scan.nii.gz", hu)


def test_totalsegmentator_through_its_python_api(stand_in: Path):
    lesson = TotalSegmentator().label(stand_in)
    assert (lesson.teacher, lesson.version) == ("totalsegmentator", "2.9")
    assert lesson.classes == {LIVER, SPLEEN}
    assert np.unique(lesson.labels[2:5]).tolist() == [SPLEEN]
    assert np.unique(lesson.labels[6:9]).tolist() == [LIVER]
    assert not lesson.labels[:2].any()


def test_totalsegmentator_is_given_any_format(stand_in: Path, tmp_path: Path):
    import SimpleITK as sitk  # noqa: N813

    sitk.WriteImage(sitk.ReadImage(str(stand_in)), tmp_path / "scan.mha")
    expected = TotalSegmentator().label(stand_in).labels
    np.testing.assert_array_equal(TotalSegmentator().label(tmp_path / "scan.mha").labels, expected)


def test_totalsegmentator_options_and_unknown_classes(stand_in: Path):
    fast = teacher("totalsegmentator-fast", "cpu")
    assert fast.name == "totalsegmentator-fast"
    assert not fast.label(stand_in).labels[0].any()  # 9, "no_such", is no class of ours


def test_totalsegmentator_fails_in_its_own_process(stand_in: Path):
    with pytest.raises(InputError, match=r"failed on scan.nii.gz \(exit 1\): .*no GPU here"):
        teacher("totalsegmentator", "cuda").label(stand_in)


def test_totalsegmentator_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "totalsegmentator.py"
    blocked.write_text("raise ImportError('blocked')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"pip install 'vista3d\[pseudo\]'"):
        TotalSegmentator().label(save(tmp_path / "scan.nii.gz", patient(0)[0]))


@pytest.mark.slow
def test_command_with_our_own_model(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """mini labels a real chest slab; the JSON says who did it and what is believed."""
    folder = tmp_path / "Dataset001_Real"
    images = folder / "imagesTr"
    images.mkdir(parents=True)
    slab = corpus / "Dataset103_TorsoPseudo" / "imagesTr" / "totalseg_slab_0000.nii.gz"
    (images / "slab_0000.nii.gz").symlink_to(slab)
    (folder / "dataset.json").write_text('{"labels": {"background": 0}}')
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["data", "label", str(folder), "-o", str(out), "--teacher", "mini"])
    assert stop.value.code == 0
    assert "Dataset001_Real/slab" in capsys.readouterr().out
    about = json.loads((out / "Dataset001_Real" / "slab.json").read_text())
    assert about["teacher"] == "mini"
    labels = np.asarray(vol.read(out / "Dataset001_Real" / "slab.nii.gz").array)
    assert LIVER in np.unique(labels)


@dataclass
class Remembering:
    """The part of a loaded model that a teacher uses."""

    meta: SimpleNamespace
    seen: list[Path]

    def segment(self, scan: Path) -> Segmentation:
        self.seen.append(scan)
        labels = np.full((2, 2, 2), LIVER, np.uint8)
        volume = vol.Volume(labels, np.eye(4))
        return Segmentation(labels, volume, (LIVER, SPLEEN), run={"versions": {"vista3d": "7"}})


def test_our_own_model_as_a_teacher(tmp_path: Path):
    model = Remembering(SimpleNamespace(name="mini"), [])
    lesson = ModelTeacher(model, "1").label(tmp_path)  # type: ignore[arg-type]
    assert model.seen == [tmp_path]
    assert (lesson.teacher, lesson.version, lesson.classes) == ("mini", "7", KNOWN)
    assert (lesson.labels == LIVER).all()


def test_the_identity_of_a_model_is_that_of_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("vista3d.inference.load", lambda name, device: None)
    weights = tmp_path / "model.safetensors"
    found = []
    for content in (b"first", b"second", b"second"):
        weights.write_bytes(content)
        found.append(teacher(str(weights)).identity)
    assert found[0] != found[1] == found[2]
    assert found[0].startswith("vista3d ")


def test_command_needs_a_folder_for_the_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["data", "label", str(tmp_path)])
    assert stop.value.code == 2
    assert "-o OUTPUT" in capsys.readouterr().err
