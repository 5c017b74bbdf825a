import numpy as np
import pytest
import torch

from vista3d.training import objects
from vista3d.training.objects import SMALLEST, draw_targets, paint_lesion

LIVER, SPLEEN, TRACHEA = 1, 3, 57


@pytest.fixture
def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Two touching blocks and a third apart, in a body of 40 HU."""
    labels = torch.zeros(32, 32, 32, dtype=torch.int64)
    labels[4:12, 8:24, 8:24] = LIVER
    labels[12:18, 8:24, 8:24] = SPLEEN
    labels[24:28, 12:20, 12:20] = TRACHEA
    hu = torch.full((32, 32, 32), 40.0)
    hu[labels == LIVER], hu[labels == SPLEEN], hu[labels == TRACHEA] = 110.0, -60.0, -900.0
    return hu, labels


def test_a_whole_structure_keeps_its_token_and_its_ambiguity(scene):
    _, labels = scene
    drawn = [objects._whole(labels, [TRACHEA], np.random.default_rng(s)) for s in range(40)]
    assert all(target.special for target in drawn)
    assert {target.novel for target in drawn} == {True, False}
    assert torch.equal(drawn[0].mask, labels == TRACHEA)


def test_a_union_joins_only_neighbours(scene):
    _, labels = scene
    both = (labels == LIVER) | (labels == SPLEEN)
    for seed in range(20):
        target = objects._union(labels, [LIVER, SPLEEN, TRACHEA], np.random.default_rng(seed))
        if target is not None:  # the trachea touches nothing
            assert target.novel
            assert torch.equal(target.mask, both)


def test_a_part_and_its_rest_make_the_structure(scene):
    _, labels = scene
    for seed in range(20):
        target = objects._part(labels, [LIVER], np.random.default_rng(seed))
        assert target.novel
        assert not (target.mask & target.against).any()
        assert torch.equal(target.mask | target.against, labels == LIVER)
        assert target.mask.sum() >= SMALLEST


def test_a_region_stays_in_one_tissue(scene):
    hu, labels = scene
    found = 0
    for seed in range(40):
        target = objects._region(hu, np.random.default_rng(seed))
        if target is not None:
            found += 1
            tissue = torch.unique(labels[target.mask])
            # A blurred border voxel may lie between two tissues; the bulk is one of them.
            counts = torch.bincount(labels[target.mask])
            assert counts.max() > 0.75 * counts.sum(), tissue
    assert found > 10


def test_a_lesion_changes_the_scan_where_its_mask_is(scene):
    hu, _ = scene
    painted, target = paint_lesion(hu, np.random.default_rng(3))
    assert target is not None
    assert target.novel
    change = (painted - hu).abs()
    assert change[target.mask].mean() > 5
    near = torch.nn.functional.max_pool3d(target.mask[None].float(), 3, 1, 1)[0] > 0
    assert (change[~near] == 0).all()


def test_air_has_no_objects():
    hu = torch.full((16, 16, 16), -1000.0)
    _, targets = draw_targets(hu, torch.zeros(16, 16, 16, dtype=torch.int64),
                              np.random.default_rng(0), 3)  # fmt: skip
    assert targets == []


def test_same_seed_same_targets(scene):
    one, two = (draw_targets(*scene, np.random.default_rng(7), 4) for _ in range(2))
    assert torch.equal(one[0], two[0])
    assert len(one[1]) == len(two[1]) == 4
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(one[1], two[1], strict=True))
