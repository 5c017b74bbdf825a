"""Which branch, how often, and what happens where one finds nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
import torch

from tests.training.sampler.drawing import LIVER, SPLEEN, TRACHEA, labels, supervoxels
from vista3d.training.sampler import (
    PUBLISHED,
    WITHOUT_SUPERVOXELS,
    BranchShares,
    draw_targets,
)

BRANCHES = [field.name for field in fields(BranchShares)]
ORGANS = "LLLLLLSSSSSS " * 12
TISSUE = torch.full((12, 12, 12), 40.0)


def _only(branch: str) -> BranchShares:
    return BranchShares(**{name: float(name == branch) for name in BRANCHES})


def _draw(art: str, branch: str, seed: int = 0, count: int = 12, pieces: str | None = None):
    volume = labels(art, 12)
    cut = None if pieces is None else supervoxels(pieces, 12)
    rng = np.random.default_rng(seed)
    hu = torch.full(volume.shape, 40.0)
    shares = _only(branch)
    return draw_targets(hu, volume, rng, count, spacing=4.0, supervoxels=cut, shares=shares)


def test_the_published_table():
    names = PUBLISHED.draw(np.random.default_rng(0), 10_000, BRANCHES)
    share = {name: n / 10_000 for name, n in Counter(names).items()}
    expected = {"regular": 0.6, "part": 0.1, "neighbour": 0.1, "unseen": 0.1, "random": 0.1}
    assert share == pytest.approx(expected, abs=0.02)


def test_the_table_without_supervoxels_uses_none():
    names = set(WITHOUT_SUPERVOXELS.draw(np.random.default_rng(0), 1000, BRANCHES))
    assert names == {"regular", "unnamed", "cut", "union", "alike", "lesion"}


@pytest.mark.parametrize("shares", [{"regular": 0.7}, {"regular": 1.6, "part": -0.9}])
def test_shares_must_add_up(shares: dict[str, float]):
    with pytest.raises(ValueError, match="add up to 1"):
        BranchShares(**shares)


def test_regular_never_carries_the_zero_shot_token_and_unnamed_always():
    for branch, novel in (("regular", False), ("unnamed", True)):
        _, targets = _draw(ORGANS, branch)
        assert len(targets) == 12
        assert all(target.novel == novel for target in targets)


@pytest.mark.parametrize("branch", ["part", "neighbour", "unnamed", "cut", "union"])
def test_a_special_class_is_always_regular(branch: str):
    pieces = "aaaaaabbbbbb " * 12
    _, targets = _draw("TTTTTTTTTTTT " * 12, branch, pieces=pieces)
    whole = labels("TTTTTTTTTTTT " * 12, 12) == TRACHEA
    assert all(t.special and not t.novel and torch.equal(t.mask, whole) for t in targets)


@pytest.mark.parametrize("branch", ["part", "neighbour", "unseen", "random", "union"])
def test_a_branch_that_finds_nothing_falls_back_to_regular(branch: str):
    # One organ everywhere, and no supervoxels.
    _, targets = _draw("LLLLLLLLLLLL " * 12, branch)
    assert len(targets) == 12
    assert all(bool(t.mask.all()) and not t.novel for t in targets)


def test_a_supervoxel_branch_is_used_where_there_is_one():
    # 6 x 6 x 12 voxels of 4 mm are 27.6 mL. Only one structure is asked for at a time: the other
    # may be merged.
    _, targets = _draw(ORGANS, "part", pieces="aaabbbaaabbb " * 12)
    assert any(t.negative for t in targets)


def test_only_annotated_structures_are_asked_for():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        _, targets = draw_targets(
            TISSUE, labels(ORGANS, 12), rng, 6, spacing=4.0, annotated={SPLEEN},
            shares=_only("regular"),
        )  # fmt: skip
        assert all(torch.equal(t.mask, labels(ORGANS, 12) == SPLEEN) for t in targets)


def test_one_lesion_is_painted_and_the_rest_chosen_as_usual():
    shares = BranchShares(**{**dict.fromkeys(BRANCHES, 0.0), "lesion": 0.5, "regular": 0.5})
    rng = np.random.default_rng(1)
    hu, targets = draw_targets(TISSUE, labels(ORGANS, 12), rng, 6, spacing=4.0, shares=shares)
    assert len(targets) == 6
    assert [t.novel for t in targets] == [True] + 5 * [False]
    assert bool((hu != TISSUE)[targets[0].mask].any())
    assert bool((TISSUE == 40).all())


def test_air_has_no_objects():
    hu = torch.full((16, 16, 16), -1000.0)
    nothing = torch.zeros(16, 16, 16, dtype=torch.int64)
    for shares in (PUBLISHED, WITHOUT_SUPERVOXELS):
        _, targets = draw_targets(
            hu, nothing, np.random.default_rng(0), 3, spacing=4.0, supervoxels=nothing,
            shares=shares,
        )  # fmt: skip
        assert targets == []


def test_without_structures_supervoxels_are_still_objects():
    free = torch.zeros(12, 12, 12, dtype=torch.int64)
    pieces = supervoxels("aaaaaa...... " * 12, 12)
    rng = np.random.default_rng(0)
    _, targets = draw_targets(TISSUE, free, rng, 4, spacing=4.0, supervoxels=pieces)
    assert len(targets) == 4
    assert all(t.novel and torch.equal(t.mask, pieces == 1) for t in targets)


def test_a_crumb_of_a_structure_is_no_object():
    crumb = torch.zeros(12, 12, 12, dtype=torch.int64)
    crumb[0, 0, :11] = LIVER
    rng = np.random.default_rng(0)
    _, targets = draw_targets(TISSUE, crumb, rng, 4, spacing=4.0, shares=_only("regular"))
    assert targets == []


@pytest.mark.parametrize("pieces", [None, supervoxels("aaabbbaaaccc " * 12, 12)])
def test_same_seed_same_targets(pieces: torch.Tensor | None):
    one, two, other = (
        draw_targets(
            TISSUE, labels(ORGANS, 12), np.random.default_rng(s), 6, spacing=4.0, supervoxels=pieces
        )
        for s in (7, 7, 8)
    )
    assert torch.equal(one[0], two[0])
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(one[1], two[1], strict=True))
    assert not all(torch.equal(a.mask, b.mask) for a, b in zip(one[1], other[1], strict=True))
