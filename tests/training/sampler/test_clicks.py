"""Where clicks are put."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from vista3d.training.sampler import ClickBatch, Clicks, Target, first_clicks, next_clicks
from vista3d.training.sampler.clicks import HARD, depth, draw_counts, pick
from vista3d.training.sampler.morphology import dilate, erode

CPU = torch.device("cpu")
SIZE = 16


def _box(*bounds: tuple[int, int], size: int = SIZE) -> torch.Tensor:
    mask = torch.zeros(size, size, size, dtype=torch.bool)
    mask[tuple(slice(a, b) for a, b in bounds)] = True
    return mask


BALL = _box((4, 11), (4, 11), (4, 11))
SLAB = _box((0, 2), (0, 16), (0, 16))


def _inside(masks: torch.Tensor, points: torch.Tensor) -> list[bool]:
    return [bool(m[tuple(p)]) for m, p in zip(masks, points.long().tolist(), strict=True)]


def _none(count: int) -> Clicks:
    return Clicks(torch.zeros(count, 0, 3), torch.zeros(count, 0, dtype=torch.int64))


def test_depth_counts_erosions():
    levels = depth(BALL[None])[0]
    assert levels[7, 7, 7] == 4  # the 7-voxel cube survives three erosions
    assert levels[4, 7, 7] == 1
    assert levels[0, 0, 0] == 0


def test_the_patch_border_does_not_erode():
    assert torch.equal(erode(SLAB), _box((0, 1), (0, 16), (0, 16)))


class TestPick:
    def test_the_deepest_voxel_is_the_centre(self):
        voxels, exists = pick(BALL[None], torch.Generator().manual_seed(0), deepest=True)
        assert exists.all()
        assert voxels[0].tolist() == [7, 7, 7]

    def test_a_random_voxel_lies_inside_the_eroded_region(self):
        core = _box((5, 10), (5, 10), (5, 10))
        found = set()
        for seed in range(50):
            voxels, _ = pick(BALL[None], torch.Generator().manual_seed(seed), deepest=False)
            found.add(tuple(voxels[0].tolist()))
            assert core[tuple(voxels[0])]
        assert len(found) > 30

    def test_an_empty_region_has_no_voxel(self):
        none = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
        _, exists = pick(none, torch.Generator().manual_seed(0), deepest=False)
        assert not exists.any()

    @pytest.mark.parametrize("axis", [0, 1, 2])
    @pytest.mark.parametrize("deepest", [True, False])
    def test_the_border_of_the_patch_is_left_out_along_every_axis(self, axis, deepest):
        # 10 of 128 voxels are 3 of 38. Released: the third axis of corrections was forgotten.
        rod = torch.zeros(38, 38, 38, dtype=torch.bool)
        rod[16:21, 16:21, :] = True
        rods = rod.movedim(2, axis)[None].repeat(40, 1, 1, 1)
        voxels, _ = pick(rods, torch.Generator().manual_seed(0), deepest)
        found = voxels[:, axis]
        assert int(found.min()) >= 3
        assert int(found.max()) <= 34
        assert int(found.max() - found.min()) > 20

    def test_a_region_at_the_border_only_is_still_clicked(self):
        voxels, exists = pick(SLAB[None], torch.Generator().manual_seed(0), deepest=True)
        assert exists.all()
        assert SLAB[tuple(voxels[0])]


def test_numbers_of_clicks_are_the_released_ones():
    rng = np.random.default_rng(0)
    drawn = [draw_counts(rng, 3) for _ in range(20_000)]
    positive, negative = (Counter(column) for column in zip(*drawn, strict=True))
    share = [positive[n] / 20_000 for n in (1, 2, 3)]
    assert share == pytest.approx([0.68, 0.27, 0.05], abs=0.01)  # facts 3.4
    share = [negative[n] / 20_000 for n in (0, 1, 2, 3)]
    assert share == pytest.approx([0.69, 0.27, 0.04, 0.003], abs=0.01)


class TestFirstClicks:
    def test_they_lie_where_their_labels_say(self):
        targets = [Target(BALL, novel=False), Target(SLAB, novel=True, special=True)]
        batch = ClickBatch.of(targets, CPU)
        counts = set()
        for seed in range(30):
            clicks = first_clicks(batch, np.random.default_rng(seed))
            assert clicks.labels[:, 0].tolist() == [1, 3]
            for n in range(clicks.labels.shape[1]):
                positive = clicks.labels[:, n] % 2 == 1
                assert _inside(batch.masks, clicks.points[:, n]) == positive.tolist()
            counts.add(clicks.labels.shape[1])
        assert len(counts) > 2

    def test_every_region_gets_its_click(self):
        rest = _box((11, 15), (4, 11), (4, 11))
        halves = (_box((4, 7), (4, 11), (4, 11)), _box((7, 11), (4, 11), (4, 11)))
        cut = Target(BALL, novel=True, negative=(rest,))
        union = Target(BALL, novel=True, positive=halves)
        plain = Target(BALL, novel=False)
        batch = ClickBatch.of([cut, union, plain], CPU)
        for seed in range(20):
            clicks = first_clicks(batch, np.random.default_rng(seed))
            points = clicks.points.long()
            sides = clicks.labels
            assert any(bool(rest[tuple(p)]) for p in points[0][sides[0] == 0])
            for half in halves:
                assert any(bool(half[tuple(p)]) for p in points[1][sides[1] == 1])
            assert (sides[2] == 1).sum() <= 3

    def test_half_of_the_negatives_are_hard(self):
        ball = _box((12, 16), (12, 16), (12, 16), size=28)
        batch = ClickBatch.of([Target(ball, novel=False)], CPU)
        near = dilate(ball, HARD)
        hard = []
        for seed in range(150):
            clicks = first_clicks(batch, np.random.default_rng(seed))
            negative = clicks.points[0][clicks.labels[0] == 0].long()
            hard += [bool(near[tuple(p)]) for p in negative]
        # By chance alone 8% would lie within 4 voxels of the object.
        assert 0.35 < np.mean(hard) < 0.75

    def test_same_seed_same_clicks(self):
        batch = ClickBatch.of([Target(BALL, novel=False)], CPU)
        one, two = (first_clicks(batch, np.random.default_rng(5)) for _ in range(2))
        assert torch.equal(one.points, two.points)
        assert torch.equal(one.labels, two.labels)


class TestNextClicks:
    def test_they_correct_the_error(self):
        batch = ClickBatch.of([Target(BALL, novel=False), Target(BALL, novel=False)], CPU)
        logits = torch.full((2, 1, SIZE, SIZE, SIZE), -5.0)
        logits[1, 0] = 5.0  # object 0: everything missed; object 1: everything marked
        for seed in range(20):
            clicks = next_clicks(_none(2), batch, logits, np.random.default_rng(seed))
            real = clicks.labels >= 0
            assert (clicks.labels[0][real[0]] == 1).all()
            assert (clicks.labels[1][real[1]] == 0).all()
            assert bool(BALL[tuple(clicks.points[0][real[0]][0].long())])
            assert not bool(BALL[tuple(clicks.points[1][real[1]][0].long())])

    def test_nothing_wrong_no_click(self):
        batch = ClickBatch.of([Target(BALL, novel=False)], CPU)
        right = torch.where(BALL, 5.0, -5.0)[None, None]
        clicks = next_clicks(_none(1), batch, right, np.random.default_rng(0))
        assert (clicks.labels == -1).all()

    def test_errors_are_eroded_before_they_are_clicked(self):
        # A missed block and a missed rim one voxel thick: only the block is worth a click.
        block = _box((5, 9), (5, 9), (5, 9))
        rim = _box((13, 14), (2, 14), (2, 14))
        batch = ClickBatch.of([Target(block | rim, novel=False)], CPU)
        empty = torch.full((1, 1, SIZE, SIZE, SIZE), -5.0)
        for seed in range(20):
            clicks = next_clicks(_none(1), batch, empty, np.random.default_rng(seed))
            assert bool(erode(block)[tuple(clicks.points[0, 0].long())])
