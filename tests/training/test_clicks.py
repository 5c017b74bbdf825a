import numpy as np
import torch

from vista3d.training.clicks import ClickBatch, Clicks, depth, first_clicks, next_clicks, pick
from vista3d.training.objects import Target

CPU = torch.device("cpu")


def _box(*bounds: tuple[int, int]) -> torch.Tensor:
    mask = torch.zeros(16, 16, 16, dtype=torch.bool)
    mask[tuple(slice(a, b) for a, b in bounds)] = True
    return mask


BALL = _box((4, 11), (4, 11), (4, 11))
BORDER = _box((0, 2), (0, 16), (0, 16))


def _inside(masks: torch.Tensor, points: torch.Tensor) -> list[bool]:
    return [bool(m[tuple(p)]) for m, p in zip(masks, points.long().tolist(), strict=True)]


def test_depth_counts_erosions():
    levels = depth(BALL[None])[0]
    assert levels[7, 7, 7] == 4  # the 7-voxel cube survives three erosions
    assert levels[4, 7, 7] == 1
    assert levels[0, 0, 0] == 0


def test_the_deepest_voxel_is_the_centre():
    voxels, exists = pick(BALL[None], torch.Generator().manual_seed(0), deepest=True)
    assert exists.all()
    assert voxels[0].tolist() == [7, 7, 7]


def test_an_empty_region_has_no_voxel():
    none = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
    _, exists = pick(none, torch.Generator().manual_seed(0), deepest=False)
    assert not exists.any()


def test_first_clicks_lie_where_their_labels_say():
    targets = [Target(BALL, novel=False), Target(BORDER, novel=True, special=True)]
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


def test_a_part_gets_a_negative_click_in_the_rest():
    rest = _box((11, 15), (4, 11), (4, 11))
    batch = ClickBatch.of([Target(BALL, novel=True, against=rest)], CPU)
    for seed in range(10):
        clicks = first_clicks(batch, np.random.default_rng(seed))
        negative = clicks.points[0][clicks.labels[0] == 0].long().tolist()
        assert any(bool(rest[tuple(p)]) for p in negative)


def test_next_clicks_correct_the_error():
    batch = ClickBatch.of([Target(BALL, novel=False), Target(BALL, novel=False)], CPU)
    empty = Clicks(torch.zeros(2, 0, 3), torch.zeros(2, 0, dtype=torch.int64))
    logits = torch.full((2, 1, 16, 16, 16), -5.0)
    logits[1, 0] = 5.0  # object 0: everything missed; object 1: everything marked
    for seed in range(20):
        clicks = next_clicks(empty, batch, logits, np.random.default_rng(seed))
        real = clicks.labels >= 0
        assert (clicks.labels[0][real[0]] == 1).all()
        assert (clicks.labels[1][real[1]] == 0).all()
        assert bool(BALL[tuple(clicks.points[0][real[0]][0].long())])
        assert not bool(BALL[tuple(clicks.points[1][real[1]][0].long())])


def test_nothing_wrong_no_click():
    batch = ClickBatch.of([Target(BALL, novel=False)], CPU)
    empty = Clicks(torch.zeros(1, 0, 3), torch.zeros(1, 0, dtype=torch.int64))
    right = torch.where(BALL, 5.0, -5.0)[None, None]
    clicks = next_clicks(empty, batch, right, np.random.default_rng(0))
    assert (clicks.labels == -1).all()
