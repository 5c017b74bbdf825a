"""Volumes, intensities and places of structures, against one plain pass per class."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from tests.results.conftest import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, SPACING, SPINAL_CORD
from vista3d.errors import UsageError
from vista3d.results import shown_ml, statistics, write_statistics
from vista3d.volume import Volume

IDS = (LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPINAL_CORD)


@pytest.fixture
def rows(labels, volume):
    return {row.id: row for row in statistics(labels, volume, IDS)}


def test_order_and_names_are_those_asked_for(labels, volume):
    rows = statistics(labels, volume, (RIGHT_KIDNEY, LIVER))
    assert [(row.id, row.name) for row in rows] == [(5, "right kidney"), (1, "liver")]


@pytest.mark.parametrize(
    ("millilitres", "text"),
    [(0, "0.0"), (1e-6, "<0.1"), (0.0499, "<0.1"), (0.05, "0.1"), (0.1, "0.1"), (6.48, "6.5")],
)
def test_what_was_found_is_never_shown_as_nothing(millilitres, text):
    assert shown_ml(millilitres) == text


@pytest.mark.parametrize("number", [LIVER, RIGHT_KIDNEY, SPINAL_CORD])
def test_measurements_are_those_of_the_mask(rows, labels, volume, affine, number):
    row, mask = rows[number], labels == number
    where = np.argwhere(mask)
    assert row.voxels == mask.sum()
    assert row.volume_mm3 == pytest.approx(mask.sum() * SPACING.prod(), rel=1e-6)
    assert row.volume_ml == pytest.approx(row.volume_mm3 / 1000)
    assert row.mean_hu == pytest.approx(volume.array[mask].mean(), abs=1e-3)
    assert row.std_hu == pytest.approx(volume.array[mask].std(), abs=1e-3)
    assert row.centroid_voxel == pytest.approx(where.mean(0), abs=1e-4)
    world = affine @ np.append(where.mean(0), 1)
    assert row.centroid_mm == pytest.approx(world[:3], abs=1e-3)
    assert (row.box_first, row.box_last) == (tuple(where.min(0)), tuple(where.max(0)))


def test_only_the_structure_at_the_border_is_truncated(rows):
    assert not rows[LIVER].truncated
    assert rows[LIVER].borders == ()
    assert rows[RIGHT_KIDNEY].truncated
    # The first axis of this LPS scan grows to the left.
    assert rows[RIGHT_KIDNEY].borders == ("left",)
    assert rows[RIGHT_KIDNEY].voxels > 0


def test_an_absent_structure_is_told_from_an_unmeasured_one(rows):
    row = rows[LEFT_KIDNEY]
    assert (row.voxels, row.volume_ml, row.truncated) == (0, 0.0, False)
    assert row.mean_hu is None
    assert row.centroid_mm is None
    assert row.box_first is None


@pytest.mark.parametrize("code", ["RAS", "LPI", "SAR", "PIL"])
def test_borders_have_anatomical_names(code):
    axes = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    affine = np.zeros((4, 4))
    for axis, letter in enumerate(code):
        affine[axes[letter], axis] = 2 if letter in "RAS" else -2
    affine[3, 3] = 1
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[1:4, 1:4, 4] = LIVER  # 36 mm2
    labels[0, 0, 0] = LIVER  # a stray voxel of 4 mm2 at three faces
    volume = Volume(np.zeros((5, 5, 5), np.float32), affine)
    borders = statistics(labels, volume, [LIVER])[0].borders
    assert [name[0].upper() for name in borders] == [code[2]]


def test_json_carries_units_and_every_number(tmp_path, labels, volume):
    rows = statistics(labels, volume, IDS)
    path = write_statistics(tmp_path / "a.json", rows, case="a")
    document = json.loads(path.read_text())
    assert document["case"] == "a"
    assert document["units"]["centroid_mm"].startswith("mm")
    assert document["structures"][0]["volume_ml"] == rows[0].volume_ml
    assert document["structures"][2]["mean_hu"] is None


def test_csv_has_one_line_per_structure(tmp_path, labels, volume):
    rows = statistics(labels, volume, IDS)
    path = write_statistics(tmp_path / "sub" / "a.csv", rows, case="a, b")
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [line["case"] for line in table] == ["a, b"] * 4
    assert float(table[0]["volume_ml"]) == rows[0].volume_ml
    assert float(table[0]["centroid_mm_z"]) == rows[0].centroid_mm[2]
    assert int(table[1]["box_last_i"]) == 19
    assert (table[1]["truncated"], table[1]["borders"]) == ("true", "left")
    assert table[2]["mean_hu"] == table[2]["box_first_k"] == ""


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.json or \.csv, not '\.xlsx'"):
        write_statistics(tmp_path / "a.xlsx", [], case="a")
