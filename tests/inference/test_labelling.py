"""Labels on the scan's grid against the plain way: upsample every logit, then argmax."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.volume.conftest import rotation
from vista3d.inference.labelling import class_logits, label_volume

IDS = (3, 7, 57, 204)
SIZES = (9, 11, 8)


def _brute(features, table, ids, to_model, shape):
    from scipy.ndimage import map_coordinates

    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)
    position = voxels @ to_model[:3, :3].T + to_model[:3, 3]
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
    sure = (top[-1] - top[-2] > 1e-3) & inside
    assert (found == expected)[sure].all()
    edge = np.abs(found.astype(int) - expected) > 0
    assert edge[~inside].mean() < 0.02 if (~inside).any() else True


def test_large_ids_need_uint16_and_one_class_is_a_threshold():
    features = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 4, 4, 4)
    labels = label_volume(features, np.ones((1, 1), np.float32), (300,), np.eye(4), (4, 4, 4))
    assert labels.dtype == np.uint16
    assert np.array_equal(labels == 300, features[0] > 0)


def test_logits_of_each_class():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((5, *SIZES)).astype(np.float32)
    table = rng.standard_normal((4, 5)).astype(np.float32)
    for row, values in zip(table, class_logits(features, table, np.eye(4), SIZES), strict=True):
        np.testing.assert_allclose(values, np.einsum("f,fxyz->xyz", row, features), atol=1e-5)


def test_outside_the_model_grid_is_background():
    features = np.ones((1, 4, 4, 4), np.float32)
    shift = np.eye(4)
    shift[:3, 3] = -2
    labels = label_volume(features, np.ones((1, 1), np.float32), (9,), shift, (8, 8, 8))
    assert (labels[2:6, 2:6, 2:6] == 9).all()
    assert (labels > 0).sum() == 64


@pytest.mark.parametrize("count", [2, 200])
def test_memory_does_not_grow_with_the_number_of_classes(count):
    import tracemalloc

    rng = np.random.default_rng(0)
    features = rng.standard_normal((4, 16, 16, 16)).astype(np.float32)
    table = rng.standard_normal((count, 4)).astype(np.float32)
    tracemalloc.start()
    label_volume(features, table, tuple(range(1, count + 1)), np.diag([0.25] * 3 + [1]), (64,) * 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 64**3  # a K-channel volume would be 4 * K * 64^3
