"""Our own objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vista3d.training.sampler import Scene, draw_balls
from vista3d.training.sampler.extras import alike, bone, cut, paint_lesion, union
from vista3d.training.sampler.morphology import dilate
from vista3d.training.sampler.scene import SMALLEST

LIVER, SPLEEN, TRACHEA, TUMOUR = 1, 3, 57, 26


@pytest.fixture
def organs() -> torch.Tensor:
    """Two touching blocks and a third apart."""
    labels = torch.zeros(32, 32, 32, dtype=torch.int64)
    labels[4:12, 8:24, 8:24] = LIVER
    labels[12:18, 8:24, 8:24] = SPLEEN
    labels[24:28, 12:20, 12:20] = TRACHEA
    return labels


@pytest.fixture
def hu(organs: torch.Tensor) -> torch.Tensor:
    """The same in a body of 40 HU."""
    scan = torch.full(organs.shape, 40.0)
    scan[organs == LIVER], scan[organs == SPLEEN], scan[organs == TRACHEA] = 110.0, -60.0, -900.0
    return scan


def test_a_union_joins_neighbours_and_wants_a_click_in_each(organs):
    scene = Scene.of(organs, None, 4.0)
    target = union(scene, LIVER, np.random.default_rng(0))
    assert target.novel
    assert torch.equal(target.mask, (organs == LIVER) | (organs == SPLEEN))
    assert torch.equal(target.positive[0], organs == LIVER)
    assert torch.equal(target.positive[1], organs == SPLEEN)
    assert union(scene, TRACHEA, np.random.default_rng(0)) is None


def test_a_part_and_its_rest_make_the_structure(organs):
    scene = Scene.of(organs, None, 4.0)
    for seed in range(20):
        target = cut(scene, LIVER, np.random.default_rng(seed))
        (rest,) = target.negative
        assert target.novel
        assert not (target.mask & rest).any()
        assert torch.equal(target.mask | rest, organs == LIVER)
        assert target.mask.sum() >= SMALLEST


def test_a_tumour_is_part_of_its_liver_in_cuts_and_unions(organs):
    liver = organs == LIVER
    organs[6:10, 12:20, 12:20] = TUMOUR
    scene = Scene.of(organs, None, 4.0)
    target = union(scene, LIVER, np.random.default_rng(0))
    assert torch.equal(target.mask, liver | (organs == SPLEEN))
    target = union(scene, SPLEEN, np.random.default_rng(0))
    assert torch.equal(target.mask, liver | (organs == SPLEEN))
    target = cut(scene, LIVER, np.random.default_rng(0))
    assert torch.equal(target.mask | target.negative[0], liver)
    assert not (target.mask & target.negative[0]).any()


def test_a_region_stays_in_one_tissue(organs, hu):
    found = 0
    for seed in range(40):
        target = alike(hu, np.random.default_rng(seed))
        if target is not None:
            found += 1
            # A blurred border voxel may lie between two tissues; the bulk is one of them.
            counts = torch.bincount(organs[target.mask])
            assert counts.max() > 0.75 * counts.sum()
    assert found > 10


def test_a_piece_of_bone_ends_where_it_is_thinnest_and_holds_its_marrow():
    scan = torch.full((32, 32, 32), 40.0)
    left = (slice(4, 14), slice(8, 24), slice(8, 24))
    scan[left], scan[18:28, 8:24, 8:24] = 600.0, 600.0
    scan[14:18, 15:17, 15:17] = 600.0
    scan[8:9, 12:20, 12:20] = 100.0  # marrow
    first = torch.zeros(scan.shape, dtype=torch.bool)
    first[left] = True
    sides = set()
    for seed in range(20):
        target = bone(scan, np.random.default_rng(seed))
        assert target is not None
        assert target.novel
        mirrored = target.mask.flip(0)
        mask = target.mask if target.mask[5, 10, 10] else mirrored
        sides.add(bool(target.mask[5, 10, 10]))
        assert (mask & first).sum() == first.sum()
        assert (mask & ~first).sum() <= 2 * 2 * 3
    assert sides == {True, False}


def test_there_is_no_bone_in_fat():
    assert bone(torch.full((24, 24, 24), -80.0), np.random.default_rng(0)) is None


def test_a_lesion_changes_the_scan_where_its_mask_is(hu):
    painted, target = paint_lesion(hu, np.random.default_rng(3))
    assert target is not None
    assert target.novel
    change = (painted - hu).abs()
    assert change[target.mask].mean() > 5
    assert (change[~dilate(target.mask)] == 0).all()


def test_balls_are_small_and_inside():
    for target in draw_balls(24, np.random.default_rng(0), 20):
        assert 0 < target.mask.sum() < 4 / 3 * np.pi * 6.1**3
        assert target.mask.shape == (24, 24, 24)
