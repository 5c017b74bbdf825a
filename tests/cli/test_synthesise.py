"""`vista3d synthesise`: files that read back, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
import pytest
from PIL import Image

from vista3d.cli.cases import find_cases
from vista3d.cli.lesion_picture import MOST, draw_lesions, lesion_pair, painted
from vista3d.cli.main import COMMANDS, main
from vista3d.errors import GeometryError, UsageError, Vista3DError, WeightsError
from vista3d.phantom import make_phantom
from vista3d.phantom.files import write_phantom
from vista3d.results.picture.pairs import CAPTION, GAP, TILE
from vista3d.training.synthetic.lesions import Lesion, paint_lesions
from vista3d.volume import read


class Case(NamedTuple):
    scan: Path
    labels: Path


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    """The abdomen of a phantom at 5 mm."""
    volume, labels = make_phantom(7, spacing=(5, 5, 5), fov="abdomen")
    scan, mask, _ = write_phantom(tmp_path_factory.mktemp("case"), 7, volume, labels, "abdomen")
    return Case(scan, mask)


def _run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--debug", "synthesise", *map(str, arguments)])
    assert not stop.value.code


def _array(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


def test_the_command_is_listed():
    assert "synthesise" in COMMANDS


def test_lesions_are_painted_recorded_and_drawn(case: Case, tmp_path: Path):
    _run(case.scan, "--labels", case.labels, "-o", tmp_path, "--lesions", "liver,kidney",
         "--count", 3, "--seed", 2, "--preview")  # fmt: skip
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "phantom_0007_ct_0002.json",
        "phantom_0007_ct_0002_ct.nii.gz",
        "phantom_0007_ct_0002_labels.json",
        "phantom_0007_ct_0002_labels.nii.gz",
        "phantom_0007_ct_0002_preview.png",
    ]
    scan, new = read(case.scan), read(tmp_path / names[1])
    assert np.array_equal(new.affine, scan.affine)
    assert new.array.dtype == np.int16
    ids, before = _array(tmp_path / names[3]), _array(case.labels)
    record = json.loads((tmp_path / names[0]).read_text())
    assert record["synthetic"] is True
    assert record["intensities"] == "scan"
    assert len(record["lesions"]) == 3
    assert {lesion["organ"] for lesion in record["lesions"]} <= {"liver", "kidney"}
    assert set(np.unique(ids[ids != before])) <= {le["class_id"] for le in record["lesions"]}
    changed = np.asarray(new.array) != np.asarray(scan.array)
    assert 0 < changed.mean() < 0.05
    assert set(np.unique(before[changed])) <= {1, 5, 14, 25}


def test_the_picture_shows_each_lesion_before_and_after(case: Case, tmp_path: Path):
    _run(case.scan, "--labels", case.labels, "-o", tmp_path, "--lesions", "liver,kidney",
         "--count", 3, "--seed", 2, "--preview")  # fmt: skip
    with Image.open(tmp_path / "phantom_0007_ct_0002_preview.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), int)
    assert pixels.shape == (3 * (CAPTION + TILE), 2 * TILE + GAP, 3)
    coloured = np.ptp(pixels, axis=2) > 40
    for row in range(3):
        tiles = coloured[row * (CAPTION + TILE) + CAPTION :][:TILE]
        assert not tiles[:, :TILE].any(), "before, nothing is painted over the scan"
        outline = np.argwhere(tiles[:, TILE + GAP :])
        assert np.abs(outline.mean(axis=0) - TILE / 2).max() < TILE / 5


def test_without_lesions_the_picture_is_an_overview(case: Case, tmp_path: Path):
    _run(case.scan, "--labels", case.labels, "-o", tmp_path, "--resynthesise", "--preview")
    with Image.open(tmp_path / "phantom_0007_ct_0000_preview.png") as picture:
        assert picture.width > 600


def test_a_mass_that_keeps_the_class_of_its_kidney_is_outlined_alone(case: Case):
    scan, labels = read(case.scan), _array(case.labels)
    before = replace(scan, array=np.asarray(scan.array, np.float32))
    hu, _, (lesion,) = paint_lesions(
        before.array, labels, scan.geometry.spacing, np.random.default_rng(3), ["kidney"]
    )
    shown = lesion_pair(before, hu, painted(before, hu), lesion).after.labels
    plane = (hu != before.array)[:, :, lesion.centre[2]]
    assert 0 < np.count_nonzero(shown) == np.count_nonzero(plane)


def test_a_picture_of_many_lesions_says_how_many_it_leaves_out(case: Case):
    scan = read(case.scan)
    lesion = Lesion("liver", "x", 26, (20, 20, 20), 9, 1, 1, 1, "native")
    few = draw_lesions(scan, np.asarray(scan.array), [lesion] * MOST)
    more = draw_lesions(scan, np.asarray(scan.array), [lesion] * (MOST + 2))
    assert (few.height, more.height) == (MOST * (CAPTION + TILE), few.height + CAPTION)


def test_a_ct_is_drawn_from_labels_alone(case: Case, tmp_path: Path):
    _run("--labels", case.labels, "-o", tmp_path, "--resynthesise", "--seed", 1)
    hu, ids = (_array(tmp_path / f"phantom_0007_labels_0001_{n}.nii.gz") for n in ("ct", "labels"))
    assert np.array_equal(ids, _array(case.labels))
    assert 0 < np.median(hu[ids == 1]) < 200
    assert json.loads((tmp_path / "phantom_0007_labels_0001.json").read_text())["intensities"] == (
        "drawn from labels"
    )


def test_a_scan_gets_other_densities(case: Case, tmp_path: Path):
    _run(case.scan, "--labels", case.labels, "-o", tmp_path, "--resynthesise")
    new, old, ids = (
        _array(tmp_path / "phantom_0007_ct_0000_ct.nii.gz"), _array(case.scan), _array(case.labels)
    )  # fmt: skip
    assert np.array_equal(new[ids == 0], np.maximum(old[ids == 0], -1024))
    assert (new[ids == 1] != old[ids == 1]).all()


def test_nothing_is_replaced_unasked_and_the_labels_never(case: Case, tmp_path: Path):
    labels = tmp_path / "phantom_0007_ct_0000_labels.nii.gz"
    labels.write_bytes(case.labels.read_bytes())
    options = (case.scan, "--labels", labels, "--resynthesise", "--overwrite")
    _refused(UsageError, "is an input: choose another place", tmp_path, *options)
    _run(*options, "-o", tmp_path / "out")
    with pytest.raises(UsageError, match="exists: add --overwrite"):
        main(["--debug", "synthesise", *map(str, options[:-1]), "-o", str(tmp_path / "out")])
    _run(*options, "-o", tmp_path / "out")


def test_the_name_is_that_of_the_other_commands(case: Case, tmp_path: Path):
    scan = tmp_path / "ct_0000.nii.gz"
    scan.write_bytes(case.scan.read_bytes())
    _run(scan, "--labels", case.labels, "-o", tmp_path / "out", "--lesions", "liver", "--seed", 7)
    assert (tmp_path / "out" / "ct_0007_ct.nii.gz").is_file()
    assert json.loads((tmp_path / "out" / "ct_0007.json").read_text())["source"] == "ct"
    assert find_cases([str(scan)])[0].name == "ct"


def test_same_seed_same_bytes(case: Case, tmp_path: Path):
    for folder in ("one", "two"):
        _run(case.scan, "--labels", case.labels, "-o", tmp_path / folder, "--lesions", "liver")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ((), UsageError, "nothing to do"),
        (("--lesions", "toe"), UsageError, "no lesions are known for 'toe'"),
        (("--lesions", "liver,"), UsageError, "no lesions are known for ''"),
        (("--maisi", "weights"), UsageError, "leave out phantom_0007_ct.nii.gz"),
        (("--maisi", "weights", "--resynthesise"), UsageError, "choose one"),
    ],
)
def test_refusals_with_a_scan(case: Case, tmp_path: Path, options, error, text):
    _refused(error, text, tmp_path, case.scan, "--labels", case.labels, *options)


def test_refusals_without_a_scan(case: Case, tmp_path: Path):
    _refused(UsageError, "no scan: give one", tmp_path, "--labels", case.labels)
    _refused(WeightsError, "config.json is missing", tmp_path, "--labels", case.labels,
             "--maisi", tmp_path / "none")  # fmt: skip


def test_labels_of_another_grid(case: Case, tmp_path: Path):
    image = nibabel.load(case.labels)
    nibabel.save(image.slicer[:, :, 1:], tmp_path / "other.nii.gz")
    _refused(GeometryError, "other.nii.gz", tmp_path / "out", case.scan, "--labels",
             tmp_path / "other.nii.gz", "--lesions", "liver")  # fmt: skip


def _refused(error: type[Vista3DError], text: str, out: Path, *arguments: object) -> None:
    with pytest.raises(error, match=text):
        main(["--debug", "synthesise", "-o", str(out), *map(str, arguments)])
    assert not list(out.glob("*_ct.nii.gz"))
