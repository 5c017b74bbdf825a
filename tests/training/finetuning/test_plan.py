"""What is adapted to the scans: spacing, patch, intensities, mirroring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vista3d.network.config import MINI
from vista3d.network.metadata import CheckpointMeta
from vista3d.training.data.case import Case, DataSource
from vista3d.training.finetuning.plan import CEILING, ceiling, make_plan
from vista3d.training.finetuning.scans import Scan, cut_out
from vista3d.training.finetuning.targets import Target
from vista3d.volume import A_MAX, A_MIN, Volume

BASE = CheckpointMeta("mini", MINI, (4.0,) * 3, (96,) * 3, (-964.0, 1054.0), (1,), "none")
NEW = (Target("1", 346, "cyst"),)
CASE = Case("a", "a", DataSource("a"), Path("a"), Path("a"), {1: 346}, frozenset({346}))


def ball(diameter: float, spacing: float) -> Volume:
    """A ball of so many mm on a grid of so many."""
    n = int(diameter / spacing) + 4
    centre = (n - 1) / 2
    grid = np.indices((n, n, n)) - centre
    mask = np.square(grid).sum(0) < (diameter / 2 / spacing) ** 2
    return cut_out(Volume(mask, np.diag([spacing] * 3 + [1.0])))


def scan(diameter: float = 60.0, spacing: float = 1.0, extent: float = 400.0) -> Scan:
    size = (extent * 0.8, extent, extent)
    return Scan(CASE, spacing, size, {346: ball(diameter, spacing)}, (-1000.0, 800.0), True)


def test_a_human_organ_keeps_the_models_grid():
    plan = make_plan([scan(), scan(80)], NEW, BASE, accelerator=True)
    assert (plan.spacing, plan.patch, plan.intensity) == (4.0, 96, (A_MIN, A_MAX))
    assert (plan.hounsfield, plan.mirror) == (True, True)


def test_a_small_structure_makes_the_grid_finer():
    plan = make_plan([scan(10)], NEW, BASE)
    assert 1.0 <= plan.spacing < 2.0
    assert ceiling([scan(10)], 4.0) < CEILING <= ceiling([scan(10)], plan.spacing)


def test_never_finer_than_the_scans():
    assert make_plan([scan(6, spacing=3.0)], NEW, BASE).spacing == 3.0


def test_a_mouse_fills_the_window():
    mouse = scan(7, spacing=0.2, extent=28)
    plan = make_plan([mouse], NEW, BASE)
    assert plan.spacing == pytest.approx(28 / 96, abs=0.01)


def test_the_patch_of_a_cpu_and_of_small_scans():
    assert make_plan([scan()], NEW, BASE).patch == 64
    crop = scan(extent=150, spacing=4.0)
    assert make_plan([crop], NEW, BASE, accelerator=True).patch == 48
    assert make_plan([scan()], NEW, BASE, patch=80, spacing=2.0).patch == 80


def test_other_units_than_hounsfield():
    micro = replace(scan(), range=(11000.0, 43000.0), hounsfield=False)
    plan = make_plan([micro, micro, scan()], NEW, BASE)
    assert (plan.intensity, plan.hounsfield) == ((11000.0, 43000.0), False)


SIDED = (
    "Left cyst", "parotid_left", "Parotid_L", "optic-nerve-right", "lesion (left)", "RT lung",
    "nodule_left2", "eye.r",
)  # fmt: skip


@pytest.mark.parametrize("name", SIDED)
def test_one_sided_structures_are_not_mirrored(name: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        assert not make_plan([scan()], (*NEW, Target("2", 347, name)), BASE).mirror
    assert f"not mirrored: {name} lies on one side" in caplog.text


@pytest.mark.parametrize("name", ["cyst", "fracture of L1", "bright spot", "lymph node"])
def test_other_structures_are_mirrored(name: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        assert make_plan([scan()], (Target("1", 346, name),), BASE).mirror
    assert "patches are mirrored" in caplog.text


def test_what_becomes_of_known_structures_in_the_mirror_is_known():
    assert make_plan([scan()], (Target("1", 14),), BASE).mirror
    assert not make_plan([scan()], (Target("1", 1),), BASE).mirror


def pair() -> Volume:
    """Two balls, the smaller one an eighth of the larger."""
    large, small = ball(40, 1.0).array, ball(20, 1.0).array
    grid = np.zeros((70, 45, 45), bool)
    grid[tuple(slice(n) for n in large.shape)] = large
    grid[45 : 45 + small.shape[0], : small.shape[1], : small.shape[2]] = small
    return cut_out(Volume(grid, np.diag([1.0] * 4)))


def test_one_piece_where_it_is_one_in_three_scans_or_more():
    parted = replace(scan(), masks={346: pair()})
    assert make_plan([scan()] * 3, NEW, BASE).single == (346,)
    assert make_plan([scan()] * 2, NEW, BASE).single == ()
    assert make_plan([scan(), scan(), parted], NEW, BASE).single == ()
    assert make_plan([scan()], NEW, BASE, pieces="one").single == (346,)
    assert make_plan([scan()] * 3, NEW, BASE, pieces="any").single == ()
