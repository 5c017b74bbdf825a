"""Labels on the scan's grid against the plain way: upsample every logit, then argmax."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.volume.conftest import rotation
from vista3d.inference import labelling
from vista3d.inference.labelling import ClassTable, LabelMap, PerClass, label_volume
from vista3d.inference.tiles import GeneralTile, SeparableTile, plan_tiles

IDS = (3, 7, 57, 204)
SIZES = (9, 11, 8)


def _position(to_model, shape):
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)
    return voxels @ to_model[:3, :3].T + to_model[:3, 3]


def _brute(features, table, ids, to_model, shape):
    from scipy.ndimage import map_coordinates

    position = _position(to_model, shape)
    inside = ((position >= -0.5) & (position <= np.array(features.shape[1:]) - 0.5)).all(-1)
    logits = np.einsum("kf,fxyz->kxyz", table, features)
    up = np.stack(
        [
            map_coordinates(row, position.transpose(3, 0, 1, 2), order=1, mode="nearest")
            for row in logits
        ]
    )
    best = up.argmax(0)
    labels = np.where(up.max(0) > 0, np.array(ids)[best], 0)
    return np.where(inside, labels, 0), up, inside


@st.composite
def maps(draw):
    """Voxel maps scan -> model: scaled permutations, flips, oblique."""
    scale = [draw(st.floats(0.2, 2.0)) for _ in range(3)]
    order = draw(st.permutations(range(3)))
    signs = [draw(st.sampled_from((-1, 1))) for _ in range(3)]
    linear = np.eye(3)[list(order)] * signs @ np.diag(scale)
    if draw(st.booleans()):
        linear = rotation(tuple(draw(st.floats(-0.4, 0.4)) for _ in range(3))) @ linear
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    centre = (np.array(SIZES) - 1) / 2
    shape = tuple(draw(st.integers(3, 80)) for _ in range(3))
    matrix[:3, 3] = centre - linear @ ((np.array(shape) - 1) / 2)
    return matrix, shape


@settings(max_examples=40, deadline=None)
@given(maps(), st.integers(0, 100))
def test_equals_brute_force(case, seed):
    matrix, shape = case
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((5, *SIZES)).astype(np.float32)
    table = rng.standard_normal((4, 5)).astype(np.float32)
    expected, up, inside = _brute(features, table, IDS, matrix, shape)
    found = label_volume(features, table, IDS, matrix, shape)
    assert found.dtype == np.uint8
    # Ties within rounding may fall either way.
    top = np.sort(np.concatenate([up, np.zeros((1, *shape))]), axis=0)
    place = _position(matrix, shape)
    # So may what lies on the grid's border.
    clear = (np.minimum(place + 0.5, np.array(SIZES) - 0.5 - place) > 1e-3).all(-1)
    sure = (top[-1] - top[-2] > 1e-3) & clear
    assert (found == expected)[sure].all()
    edge = np.abs(found.astype(int) - expected) > 0
    assert edge[~inside].mean() < 0.02 if (~inside).any() else True


def test_large_ids_need_uint16_and_one_class_is_a_threshold():
    features = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 4, 4, 4)
    labels = label_volume(features, np.ones((1, 1), np.float32), (300,), np.eye(4), (4, 4, 4))
    assert labels.dtype == np.uint16
    assert np.array_equal(labels == 300, features[0] > 0)


def test_outside_the_model_grid_is_background():
    features = np.ones((1, 4, 4, 4), np.float32)
    shift = np.eye(4)
    shift[:3, 3] = -2
    labels = label_volume(features, np.ones((1, 1), np.float32), (9,), shift, (8, 8, 8))
    assert (labels[2:6, 2:6, 2:6] == 9).all()
    assert (labels > 0).sum() == 64


def _smooth(channels, shape, seed=0):
    """Random features [F, h, w, d] that vary over some voxels, around 0."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal((channels, *shape))
    return gaussian_filter(noise, (0, 2, 2, 2)).astype(np.float32) * 20


def _table(count, channels, seed=5):
    return np.random.default_rng(seed).standard_normal((count, channels)).astype(np.float32)


@pytest.mark.parametrize("shear", [0.02, 0.3])
def test_sheared_scans(shear):
    """Larger than one tile, so that the box of every tile is tried, too."""
    matrix = np.diag([0.5, 0.6, 0.4, 1.0])
    matrix[1, 2], matrix[0, 1] = shear, -shear / 2
    # No voxel lies exactly on the border, where rounding decides and differs between CPUs.
    matrix[:3, 3] = (1.3017, -2.2043, 0.7029)
    sizes, shape = (26, 30, 28), (50, 61, 67)
    tiles = plan_tiles(sizes, matrix, shape)
    assert len(tiles) > 8
    assert all(isinstance(tile, GeneralTile) for tile in tiles)
    features, table = _smooth(4, sizes), _table(4, 4)
    expected, up, inside = _brute(features, table, IDS, matrix, shape)
    found = label_volume(features, table, IDS, matrix, shape)
    top = np.sort(np.concatenate([up, np.zeros((1, *shape))]), axis=0)
    sure = (top[-1] - top[-2] > 1e-3) & inside
    assert len(np.unique(found)) == 5
    assert (found == expected)[sure].all()
    assert not found[~inside].any()


def test_both_ways_of_interpolating_agree():
    matrix, values = np.diag([0.5, 0.7, 0.9, 1.0]), torch.from_numpy(_smooth(3, (17, 22, 19)))
    tile = plan_tiles((17, 22, 19), matrix, (32, 31, 20))[0]
    assert isinstance(tile, SeparableTile)
    general = GeneralTile(tile.target, tile.source, (17, 22, 19), matrix)
    box = values[(slice(None), *tile.source)]
    torch.testing.assert_close(tile.interpolate(box), general.interpolate(box), atol=1e-5, rtol=0)


def test_equal_logits_go_to_the_class_that_was_named_first():
    features = np.ones((1, 6, 6, 6), np.float32)
    ids = tuple(range(90, 50, -1))  # more than one group of classes
    found = label_volume(features, np.ones((40, 1), np.float32), ids, np.eye(4), (6, 6, 6))
    assert set(np.unique(found)) == {90}


def test_chunks_of_classes_change_nothing(monkeypatch):
    features, table, ids = _smooth(6, (12, 12, 12)), _table(30, 6), tuple(range(1, 31))
    found = []
    for chunk, group in ((1, 1), (7, 3), (1000, 255)):
        monkeypatch.setattr(labelling, "_CHUNK", chunk)
        monkeypatch.setattr(labelling, "_GROUP", group)
        matrix = np.diag([0.4, 0.4, 0.4, 1])
        found.append(label_volume(features, table, ids, matrix, (30, 30, 30)))
    assert len(np.unique(found[0])) > 5
    # The products are summed in another order.
    assert (found[0] == found[1]).mean() > 0.9999
    assert (found[0] == found[2]).mean() > 0.9999


def test_classes_that_cannot_win_are_not_interpolated():
    """One class is the strongest all over a tile, one is negative: neither costs anything."""
    seen = []

    class Spy(SeparableTile):
        def interpolate(self, values):
            seen.append(len(values))
            return super().interpolate(values)

    (tile,) = plan_tiles((4, 4, 4), np.eye(4), (4, 4, 4))
    features = np.linspace(0.9, 1.1, 64, dtype=np.float32).reshape(1, 4, 4, 4)
    table = torch.tensor([[1.0], [5.0], [-3.0], [4.9]])
    sink = LabelMap(ClassTable.plain(table), (1, 5, 6, 7), (4, 4, 4))
    sink.take(Spy(tile.order, tile.pieces), torch.from_numpy(features))
    assert (sink.labels == 5).all()
    assert seen == [2]  # 5.0 and 4.9 overlap in range


def test_masks_overlap_and_probabilities_are_sigmoids():
    features, ids = _smooth(4, (9, 9, 9)), (1, 5, 130)
    table, matrix, shape = torch.from_numpy(_table(3, 4)), np.diag([0.5, 0.5, 0.5, 1]), (20,) * 3
    matrix[:3, 3] = -1.5  # the first voxels of the scan lie outside the model grid
    plain = ClassTable.plain(table)
    masks = PerClass(plain, ids, shape, "masks")
    chances = PerClass(plain, ids, shape, "probabilities")
    labels = LabelMap(plain, ids, shape)
    for tile in plan_tiles((9, 9, 9), matrix, shape):
        box = torch.from_numpy(features[(slice(None), *tile.source)])
        for sink in (masks, chances, labels):
            sink.take(tile, box)
    _, up, inside = _brute(features, table.numpy(), ids, matrix, shape)
    assert sum(mask.astype(int) for mask in masks.volumes.values()).max() > 1
    for number, logit in zip(ids, up, strict=True):
        mask, chance = masks.volumes[number], chances.volumes[number]
        assert chance.dtype == np.float16
        expected = np.where(inside, 1 / (1 + np.exp(-logit)), 0)
        np.testing.assert_allclose(chance, expected, atol=2e-3)
        sure = np.abs(expected - 0.5) > 1e-4
        assert (mask == (expected > 0.5))[sure].all()
        assert not mask[~inside].any()
        assert mask[labels.labels == number].all()


def test_probabilities_of_exclusive_classes_are_shares():
    features, ids = _smooth(4, (9, 9, 9)), (1, 5, 130)
    table, matrix, shape = torch.from_numpy(_table(5, 4)), np.diag([0.5, 0.5, 0.5, 1]), (16,) * 3
    everything = ClassTable.plain(table)
    sink = PerClass(everything.rows(slice(3)), ids, shape, "probabilities", everything)
    for tile in plan_tiles((9, 9, 9), matrix, shape):
        sink.take(tile, torch.from_numpy(features[(slice(None), *tile.source)]))
    on_grid = torch.from_numpy(np.einsum("kf,fabc->kabc", table.numpy(), features))
    inner = (slice(0, 15, 2),) * 3  # voxels of the scan that are voxels of the model grid
    part = on_grid[:, :8, :8, :8]
    wanted = (part - torch.logaddexp(torch.zeros(()), part.logsumexp(0))).exp().numpy()
    for row, number in enumerate(ids):
        np.testing.assert_allclose(sink.volumes[number][inner], wanted[row], atol=2e-3)
    assert sum(v.astype(np.float32) for v in sink.volumes.values()).max() <= 1.001


@pytest.mark.parametrize("count", [8, 512])
def test_memory_does_not_grow_with_the_number_of_classes(count):
    """The largest tensor that torch makes on the way, and what numpy holds."""
    largest = 0

    class Recorder(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.untyped_storage().nbytes())
            return out

    import tracemalloc

    # Every class is a candidate in every tile: nothing can be left out.
    features, table = np.ones((4, 24, 24, 24), np.float32), np.full((count, 4), 0.1, np.float32)
    tracemalloc.start()
    with Recorder():
        matrix, ids = np.diag([0.5] * 3 + [1]), tuple(range(1, count + 1))
        label_volume(features, table, ids, matrix, (48, 48, 48))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A tile is 32^3 voxels, from 18^3 of the model grid; all 512 classes would be 64 MB.
    assert 0 < largest <= 4 * max(labelling._CHUNK * 18**3, labelling._GROUP * 32**3)
    assert peak < 8 * 48**3


@pytest.mark.parametrize("shear", [0.0, 0.2])
def test_nearest_is_the_argmax_of_the_model_grid_copied(shear):
    """What the official pipelines do: argmax at model resolution, then nearest labels."""
    sizes, shape, matrix = (14, 12, 13), (29, 33, 27), np.diag([0.43, -0.37, 0.47, 1.0])
    matrix[:3, 3], matrix[0, 2] = (0.2, 11.3, 0.1), shear
    features, table = _smooth(4, sizes), _table(4, 4)
    sink = LabelMap(ClassTable.plain(torch.from_numpy(table)), IDS, shape)
    for tile in plan_tiles(sizes, matrix, shape, "nearest"):
        box = torch.from_numpy(np.ascontiguousarray(features[(slice(None), *tile.source)]))
        sink.take(tile, box)
    logits = np.tensordot(table, features, 1)
    coarse = np.where(logits.max(0) > 0, np.array(IDS)[logits.argmax(0)], 0)
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    position = np.floor(voxels @ matrix[:3, :3].T + matrix[:3, 3] + 0.5).astype(int)
    inside = ((position >= 0) & (position < sizes)).all(-1)
    expected = np.where(inside, coarse[tuple(np.moveaxis(position * inside[..., None], -1, 0))], 0)
    assert (sink.labels == expected).mean() > 0.9999
    assert len(np.unique(expected)) == 5


def _labels(table: torch.Tensor, features: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Labels on the model grid itself, ids 1..K."""
    shape = features.shape[1:]
    ids = tuple(range(1, len(table) + 1))
    sink = LabelMap(ClassTable.plain(table), ids, shape, exclusive=exclusive)
    for tile in plan_tiles(shape, np.eye(4), shape):
        sink.take(tile, torch.from_numpy(features[(slice(None), *tile.source)]))
    return sink.labels


def test_exclusive_classes_say_together_what_is_background():
    """Three vertebrae at logit -0.5 weigh 3 * 0.61 > 1: a vertebra, the strongest of them."""
    features = np.ones((1, 5, 5, 5), np.float32)
    doubtful = torch.tensor([[-0.6], [-0.5], [-0.7]])
    assert (_labels(doubtful, features, exclusive=False) == 0).all()
    assert (_labels(doubtful, features, exclusive=True) == 2).all()
    unlikely = torch.tensor([[-2.0], [-1.5], [-1.9]])  # 0.51 together
    assert (_labels(unlikely, features, exclusive=True) == 0).all()
    # Where no window was run features are 0: nothing is known there.
    features[:, 2] = 0
    found = _labels(doubtful, features, exclusive=True)
    assert (found[2] == 0).all()
    assert (found[0] == 2).all()


def test_exclusive_classes_equal_brute_force():
    """More classes than a chunk holds; one class alone is decided as ever."""
    rng = np.random.default_rng(3)
    features = rng.standard_normal((6, 7, 6, 5)).astype(np.float32)
    features[0] = 1
    table = torch.from_numpy(rng.standard_normal((90, 6)).astype(np.float32))
    table[:, 0] = -6.5  # 90 such classes and the others' features: background in about a half
    logits = np.einsum("nf,fijk->nijk", table.numpy(), features)
    expected = np.where(np.exp(logits).sum(0) > 1, logits.argmax(0) + 1, 0)
    found = _labels(table, features, exclusive=True)
    assert (found == expected).mean() > 0.999  # ties within rounding
    assert 0.05 < (found == 0).mean() < 0.95
    alone = _labels(table[:1], features, exclusive=True)
    assert np.array_equal(alone, _labels(table[:1], features, exclusive=False))


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_margin_of_all_classes_is_taken_off_the_evidence(exclusive: bool):
    rng = np.random.default_rng(5)
    features = rng.standard_normal((6, 7, 6, 5)).astype(np.float32)
    vectors = torch.from_numpy(rng.standard_normal((9, 6)).astype(np.float32))
    (tile,) = plan_tiles((7, 6, 5), np.eye(4), (7, 6, 5))
    sinks = []
    for margin in (0.0, 2.0):
        table = ClassTable(vectors, torch.full((9,), margin))
        sinks.append(
            LabelMap(table, tuple(range(1, 10)), (7, 6, 5), exclusive=exclusive, evidence=True)
        )
        sinks[-1].take(tile, torch.from_numpy(features))
    free, strict = sinks
    assert (free.evidence[free.labels > 0] > 0).all()
    expected = np.where(free.evidence > 2.0, free.labels, 0)
    clear = np.abs(free.evidence - 2.0) > 0.01  # float16
    assert np.array_equal(strict.labels[clear], expected[clear])
    assert 0 < (strict.labels > 0).sum() < (free.labels > 0).sum()


def test_a_margin_is_taken_off_the_logit():
    """One of two classes must win by its margin, against the other and against background."""
    (tile,) = plan_tiles((4, 4, 4), np.eye(4), (4, 4, 4))
    features = torch.ones(1, 4, 4, 4)
    vectors = torch.tensor([[1.0], [0.8]])
    found = []
    for margins in ([0.0, 0.0], [0.3, 0.0], [1.2, 0.9]):
        sink = LabelMap(ClassTable(vectors, torch.tensor(margins)), (1, 5), (4, 4, 4))
        sink.take(tile, features)
        found.append(int(sink.labels[1, 2, 3]))
    assert found == [1, 5, 0]
