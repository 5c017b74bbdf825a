"""What holds of every clustering, and that it is as good as scikit-image's."""

from __future__ import annotations

import cc3d
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from benchmarks.supervoxels import quality
from tests.supervoxels.conftest import balls
from vista3d.errors import UsageError
from vista3d.supervoxels import slic
from vista3d.supervoxels.seeds import place_seeds

SHAPES = st.tuples(*[st.integers(1, 20)] * 3)


def random_features(seed: int, shape: tuple[int, int, int], channels: int = 3) -> torch.Tensor:
    return torch.from_numpy(balls(seed, shape, channels)[0])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=SHAPES,
    segments=st.integers(1, 80),
    compactness=st.sampled_from([0.01, 0.1, 1.0, 10.0]),
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 5.0])] * 3),
)
def test_labels_cover_the_volume_and_each_is_one_region(
    seed, shape, segments, compactness, spacing
):
    features = random_features(seed, shape)
    labels = slic(features, segments, compactness=compactness, spacing=spacing)
    assert labels.dtype == torch.int32
    assert labels.shape == shape
    array = labels.numpy()
    numbers = np.unique(array)
    np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))
    _, count = cc3d.connected_components(array, connectivity=6, return_N=True)
    assert count == len(numbers)
    assert torch.equal(
        labels, slic(features, segments, compactness=compactness, spacing=spacing)
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), shape=SHAPES, segments=st.integers(1, 30))
def test_a_mask_is_covered_and_nothing_else(seed, shape, segments):
    mask = torch.from_numpy(np.random.default_rng(seed).random(shape) < 0.6)
    features = random_features(seed, shape)
    labels = slic(features, segments, compactness=0.5, mask=mask)
    assert torch.equal(labels > 0, mask)
    # What lies outside the mask has no say.
    changed = torch.where(mask, features, 1000.0)
    assert torch.equal(labels, slic(changed, segments, compactness=0.5, mask=mask))


@pytest.mark.parametrize("segments", [8, 27, 60, 100, 216])
@pytest.mark.parametrize("shape", [(32, 32, 32), (48, 40, 20)])
def test_compact_clusters_are_as_many_as_wanted(shape, segments):
    labels = slic(random_features(0, shape), segments, compactness=20.0)
    assert int(labels.max()) == pytest.approx(segments, rel=0.2)


def test_a_constant_volume_is_cut_into_its_cells():
    labels = slic(torch.ones(2, 20, 20, 20), 64, compactness=0.1).numpy()
    # 4 x 4 x 4 cubes of 5 voxels.
    assert np.unique(np.bincount(labels.ravel())[1:]).tolist() == [125]


def test_cells_are_cubes_in_millimetres():
    seeds = place_seeds((64, 64, 16), (1.0, 1.0, 4.0), 64)
    assert seeds.counts == (4, 4, 4)
    assert place_seeds((64, 64, 16), (1.0, 1.0, 1.0), 64).counts == (6, 6, 2)
    labels = slic(torch.zeros(1, 24, 24, 6), 27, compactness=1.0, spacing=(1.0, 1.0, 4.0)).numpy()
    for label in range(1, 28):
        extent = [int(np.ptp(axis)) + 1 for axis in np.nonzero(labels == label)]
        assert extent == [8, 8, 2]


def test_every_voxel_is_one_where_more_are_asked_than_there_are():
    features = torch.arange(27.0).reshape(1, 3, 3, 3)
    assert slic(features, 10_000, compactness=1.0).unique().tolist() == list(range(1, 28))


def test_an_edge_in_the_features_is_an_edge_of_supervoxels():
    features = torch.zeros(4, 32, 32, 32)
    features[:, 13:] = 1  # not where a cell ends
    for compactness in (0.01, 0.1):
        labels = slic(features, 64, compactness=compactness).numpy()
        assert not set(np.unique(labels[:13])) & set(np.unique(labels[13:]))


def test_the_scale_and_offset_of_features_do_not_matter():
    features = random_features(3, (24, 24, 24))
    first = slic(features, 40, compactness=0.1)
    # Rounding may move a voxel between clusters that are equally near.
    assert (first == slic(features * 40 + 7, 40, compactness=0.1)).float().mean() > 0.99


def test_half_precision_features_are_taken():
    features = random_features(3, (16, 16, 16))
    assert slic(features.half(), 20, compactness=0.5).max() > 5


def scores(labels: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Boundary recall within one voxel, and compactness (mean isoperimetric quotient)."""
    found = quality(labels, truth)
    return found["recall"], found["compactness"]


@pytest.mark.parametrize("compactness", [0.1, 0.3])
@pytest.mark.parametrize(("side", "tolerance"), [(36, 0.02), (72, 0.04)])
def test_as_good_as_scikit_image(side, tolerance, compactness):
    """36: every iteration sees all voxels. 72: every second along an axis, for its cells have 12 a
    side; the synthetic balls then lose 3% of the compactness. Real CT: benchmarks/supervoxels.py.
    """
    from skimage.segmentation import slic as reference

    features, truth = balls(1, (side, side, side), 8)
    features = gaussian_filter(features, (0, 1, 1, 1))  # as features of images are
    theirs = reference(features, n_segments=216, compactness=compactness, channel_axis=0)
    ours = slic(torch.from_numpy(features), 216, compactness=compactness).numpy()
    recall, compact = scores(ours, truth)
    recall_theirs, compact_theirs = scores(theirs, truth)
    assert recall == pytest.approx(recall_theirs, rel=0.02)
    assert compact == pytest.approx(compact_theirs, rel=tolerance)
    assert ours.max() == pytest.approx(theirs.max(), rel=0.1)


@pytest.mark.parametrize(
    ("features", "options"),
    [
        (torch.zeros(3, 4, 4), {}),
        (torch.zeros(1, 4, 4, 0), {}),
        (torch.zeros(1, 4, 4, 4), {"segments": 0}),
        (torch.zeros(1, 4, 4, 4), {"compactness": 0.0}),
        (torch.zeros(1, 4, 4, 4), {"compactness": float("nan")}),
        (torch.zeros(1, 4, 4, 4), {"iterations": 0}),
        (torch.zeros(1, 4, 4, 4), {"spacing": (1.0, 0.0, 1.0)}),
        (torch.zeros(1, 4, 4, 4), {"mask": torch.ones(4, 4, 5, dtype=torch.bool)}),
    ],
)
def test_what_makes_no_clustering_is_refused(features, options):
    with pytest.raises(UsageError):
        slic(features, **{"segments": 8, "compactness": 1.0, **options})


def test_an_empty_mask_has_no_supervoxel():
    mask = torch.zeros(4, 4, 4, dtype=torch.bool)
    assert not slic(torch.zeros(1, 4, 4, 4), 8, compactness=1.0, mask=mask).any()
