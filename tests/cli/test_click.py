"""`vista3d click` as a user meets it. The network is a stand-in that paints balls at clicks."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest

from tests.cli.fake import LIVER, files, scan
from vista3d import anatomy
from vista3d import volume as vol
from vista3d.results.label_map import write_label_map

INSIDE = "8,10,5,+"


@pytest.fixture
def ct(tmp_path) -> Path:
    return scan(tmp_path / "ct.nii.gz")


def read(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_a_new_object(click, ct, tmp_path):
    out = tmp_path / "out"
    outcome = click(ct, "-o", out, "--point", INSIDE, "--new", "my lesion", "--preview", "-s")
    assert outcome.code == 0, outcome.text
    assert files(out) == {
        "ct_seg.nii.gz", "ct_seg.json", "ct_report.json", "ct_preview.png",
        "ct_statistics.json", "ct_statistics.csv",
    }  # fmt: skip
    labels = read(out / "ct_seg.nii.gz")
    value = labels[8, 10, 5]
    assert value >= 512
    (entry,) = json.loads((out / "ct_seg.json").read_text())["labels"]
    assert (entry["id"], entry["name"]) == (value, "my lesion")
    assert "my lesion" in outcome.out
    image = nib.load(out / "ct_seg.nii.gz")
    assert image.affine.tolist() == nib.load(ct).affine.tolist()


def test_the_report_can_be_traced_as_that_of_segment(click, run, ct, tmp_path):
    assert run(ct, "-o", tmp_path / "a", "-c", "liver").code == 0
    automatic = json.loads((tmp_path / "a" / "ct_report.json").read_text())["settings"]
    given = ("--point", INSIDE, "--class", "liver", "--precision", "fp32")
    assert click(ct, "-o", tmp_path / "b", *given, "--initial", tmp_path / "a" / "ct_seg.nii.gz",
                 ).code == 0  # fmt: skip
    report = json.loads((tmp_path / "b" / "ct_report.json").read_text())
    settings = report["settings"]
    assert set(settings) >= set(automatic)
    assert settings["weights"] == automatic["weights"]
    assert settings["classes"] == [LIVER]
    assert (settings["precision"], settings["overlap"]) == ("fp32", "overwrite")
    assert settings["initial"]["name"] == "ct_seg.nii.gz"
    assert len(settings["initial"]["sha256"]) == 64
    assert report["run"]["runtime"] == "torch"


def test_a_known_class_has_its_own_id(click, ct, tmp_path):
    assert click(ct, "-o", tmp_path / "a.nii.gz", "--point", INSIDE, "--class", "liver").code == 0
    assert set(np.unique(read(tmp_path / "a.nii.gz"))) == {0, LIVER}


def test_a_class_that_the_model_does_not_know_is_a_new_structure_to_it(click, ct, tmp_path, caplog):
    outcome = click(ct, "-o", tmp_path / "a.nii.gz", "--point", INSIDE, "--class", "spleen")
    assert outcome.code == 0
    assert "model fake was not trained on 'spleen'" in caplog.text


def test_millimetres_name_the_same_voxel(click, ct, tmp_path):
    x, y, z = nib.affines.apply_affine(nib.load(ct).affine, (8, 10, 5))
    click(ct, "-o", tmp_path / "a.nii.gz", "--point", INSIDE)
    click(ct, "-o", tmp_path / "b.nii.gz", "--point-mm", f"{x},{y},{z},+")
    click(ct, "-o", tmp_path / "c.nii.gz", "--point-lps", f"{-x},{-y},{z},+")
    a, b, c = (read(tmp_path / f"{name}.nii.gz") for name in "abc")
    assert (a == b).all()
    assert (a == c).all()


def test_an_automatic_result_is_corrected_and_not_replaced(click, ct, tmp_path):
    click(ct, "-o", tmp_path / "a.nii.gz", "--class", "liver", "--auto", "--point", "16,10,5,+")
    labels = read(tmp_path / "a.nii.gz")
    automatic = np.asarray(nib.load(ct).dataobj) == 100
    assert (labels[automatic] == LIVER).all()
    assert labels[16, 10, 5] == LIVER


def test_an_initial_mask(click, ct, tmp_path):
    image = nib.load(ct)
    mask = np.zeros(image.shape, np.uint8)
    mask[20:22, 4:6, 4:6] = 1
    nib.save(nib.Nifti1Image(mask, image.affine), tmp_path / "mask.nii.gz")
    outcome = click(
        ct, "-o", tmp_path / "a.nii.gz", "--initial", tmp_path / "mask.nii.gz", "--point", INSIDE
    )
    assert outcome.code == 0, outcome.text
    found = read(tmp_path / "a.nii.gz") > 0
    assert found[mask > 0].all()
    assert found[8, 10, 5]
    outcome = click(ct, "-o", tmp_path / "b.nii.gz", "--initial", ct)
    assert outcome.code == 4
    assert "not a label map" in outcome.text


def test_a_label_map_keeps_its_other_structures(click, ct, tmp_path):
    image = nib.load(ct)
    drawn = np.zeros(image.shape, np.uint8)
    drawn[20:22, 4:6, 4:6], drawn[2:4, 4:6, 4:6], drawn[2:4, 8:10, 4:6] = LIVER, 3, 99
    before = tmp_path / "before.nii.gz"
    table = [anatomy.by_id(LIVER), anatomy.by_id(3), anatomy.new_structure(99, "my cyst")]
    write_label_map(before, drawn, vol.Volume(drawn, image.affine), table)
    given = ("--initial", before, "--point", INSIDE)
    outcome = click(ct, "-o", tmp_path / "a.seg.nrrd", *given, "--class", "liver")
    assert outcome.code == 0, outcome.text
    after, header = nrrd.read(str(tmp_path / "a.seg.nrrd"))
    assert after[8, 10, 5] == LIVER
    assert (after[drawn == LIVER] == LIVER).all()
    assert (after[drawn == 3] == 3).all()
    names = {header[f"Segment{n}_LabelValue"]: header[f"Segment{n}_Name"] for n in range(3)}
    (cyst,) = {str(value) for value in after[drawn == 99]}
    assert names == {"1": "liver", "3": "spleen", cyst: "my cyst"}
    # What came out goes in again, from Slicer's format, and by its name.
    again = ("--initial", tmp_path / "a.seg.nrrd", "--point", "16,10,5,+", "--new", "my cyst")
    kept = ("--overlap", "keep existing")
    assert click(ct, "-o", tmp_path / "b.nii.gz", *again, *kept).code == 0
    last = read(tmp_path / "b.nii.gz")
    assert last[16, 10, 5] == last[2, 8, 4] > 512
    assert (last[after == LIVER] == LIVER).all()
    outcome = click(ct, "-o", tmp_path / "c.nii.gz", *given)
    assert outcome.code == 2
    assert "3 structures (liver, spleen, my cyst): say with --class or --new" in outcome.text


def test_a_session_goes_on_where_it_stopped(click, ct, tmp_path):
    file = tmp_path / "work.vista3d"
    click(ct, "-o", tmp_path / "a.nii.gz", "--session", file, "--point", INSIDE, "--new", "a")
    click(ct, "-o", tmp_path / "b.nii.gz", "--session", file, "--point", "16,10,5,+", "--new", "b")
    labels = read(tmp_path / "b.nii.gz")
    assert len(np.unique(labels)) == 3
    click(ct, "-o", tmp_path / "c.nii.gz", "--session", file, "--point", "16,12,5,-")
    after = read(tmp_path / "c.nii.gz")
    assert (after == labels[8, 10, 5]).sum() == (labels == labels[8, 10, 5]).sum()
    assert after[16, 12, 5] == 0
    other = scan(tmp_path / "other.nii.gz", seed=3)
    outcome = click(other, "-o", tmp_path / "d.nii.gz", "--session", file)
    assert outcome.code == 4
    assert "another scan" in outcome.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--point", "1,2,+"], "three numbers and a sign"),
        (["--point", "1,2,x,+"], "three numbers and a sign"),
        (["--point", "1,2,3,?"], "three numbers and a sign"),
        (["--point", "500,2,3,+"], "outside the scan"),
        (["--class", "liver", "--new", "x"], "give one of them"),
        (["--auto"], "--auto needs --class"),
        (["--class", "livr", "--point", INSIDE], "liver"),
        (["--overlap", "nonsense", "--point", INSIDE], "'allow overlap'"),
    ],
)
def test_what_cannot_be_meant_is_refused(click, ct, tmp_path, arguments, message):
    outcome = click(ct, "-o", tmp_path / "out", *arguments)
    assert outcome.code == 2
    assert message in outcome.text
    assert not (tmp_path / "out").exists()


def test_results_are_not_overwritten_unasked(click, ct, tmp_path):
    assert click(ct, "-o", tmp_path / "a.nii.gz", "--point", INSIDE).code == 0
    outcome = click(ct, "-o", tmp_path / "a.nii.gz", "--point", INSIDE)
    assert outcome.code == 2
    assert "exists" in outcome.text
    assert click(ct, "-o", tmp_path / "a.nii.gz", "--point", INSIDE, "--overwrite").code == 0


def test_a_name_cannot_break_the_file(click, ct, tmp_path):
    """A line break in a name would add lines to the NRRD header."""
    out = tmp_path / "a.seg.nrrd"
    outcome = click(ct, "-o", out, "--point", INSIDE, "--new", "a\nSegment9_Name:=evil <b>")
    assert outcome.code == 0, outcome.text
    header = out.read_bytes().split(b"\n\n")[0].decode()
    assert "\nSegment9" not in header
    assert "Segment0_Name:=a Segment9_Name:=evil <b>" in header


def test_one_scan_at_a_time(click, ct, tmp_path):
    scan(tmp_path / "other.nii.gz")
    outcome = click(tmp_path, "-o", tmp_path / "out", "--point", INSIDE)
    assert outcome.code == 2
    assert "holds 2 scans: give one of them" in outcome.text


def test_without_anything_to_do_nothing_is_written(click, ct, tmp_path):
    outcome = click(ct, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "nothing to do: give --point I,J,K,+" in outcome.text
    outcome = click(ct, "-o", tmp_path / "out", "--session", tmp_path / "mistyped")
    assert outcome.code == 2
    assert "new session" not in outcome.text
    assert not (tmp_path / "out").exists()
    outcome = click(ct, "-o", tmp_path / "out", "--session", ct, "--point", INSIDE)
    assert outcome.code == 4
    assert "not a whole session file of vista3d (another file" in outcome.text


@pytest.mark.parametrize("option", ["-o", "--session"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(click, ct, tmp_path, option):
    (tmp_path / "file").touch()
    rest = [] if option == "-o" else ["-o", tmp_path / "out"]
    outcome = click(ct, "--point", INSIDE, option, tmp_path / "file" / "x.nii.gz", *rest)
    assert outcome.code == 2
    assert "file' is a file, choose another place" in outcome.text
