"""The whole click path beside MONAI's `point_based_window_inferer`, where that one is right."""

import numpy as np
import pytest
import torch

from vista3d.inference.interactive import Click, Prompt
from vista3d.inference.interactive.pointing import PointEngine
from vista3d.inference.runtimes.points import PointRuntime
from vista3d.network.config import OFFICIAL
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.volume import Volume

WINDOW = (32, 32, 32)
SHAPE = (70, 40, 36)


@pytest.fixture(scope="module")
def pair():
    pytest.importorskip("monai", reason="the extra `test` has MONAI")
    from monai.networks.nets import vista3d132

    torch.manual_seed(0)
    ours = Vista3D(OFFICIAL).eval().requires_grad_(False)
    with torch.device("meta"):
        theirs = vista3d132(in_channels=1).eval().requires_grad_(False)
    theirs.load_state_dict(ours.state_dict(), assign=True)
    return ours, theirs


def _both(pair, clicks, prompt_class=None):
    """Their stitched logits, nan where no window was; ours, -inf there."""
    from monai.apps.vista3d.inferer import point_based_window_inferer
    from monai.data import MetaTensor

    ours, theirs = pair
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    meta = CheckpointMeta("official", OFFICIAL, (1.0, 1.0, 1.0), WINDOW, (0.0, 1.0), (1,), "none")
    runtime = PointRuntime(ours, "cpu", "fp32")
    engine = PointEngine(meta, runtime, Volume(image, np.eye(4)), margin=0.5, step=1, most_extra=0)
    made = tuple(Click(position, positive) for position, positive in clicks)
    canvas = engine.canvas(Prompt(made, None, prompt_class is not None))
    mine = np.full(SHAPE, -np.inf, np.float32)
    mine[canvas.box] = canvas.logits
    with torch.no_grad():
        out = point_based_window_inferer(
            MetaTensor(torch.from_numpy(image)[None, None]),
            WINDOW,
            theirs,
            point_coords=torch.tensor([[position for position, _ in clicks]]),
            point_labels=torch.tensor([[int(positive) for _, positive in clicks]]),
            prompt_class=prompt_class,
            transpose=True,
        )
    return np.asarray(out[0, 0]), mine


@pytest.mark.parametrize("prompt_class", [None, torch.tensor([600])])
@pytest.mark.parametrize(
    "clicks",
    [
        [((35.0, 20.0, 18.0), True)],
        [((35.0, 20.0, 18.0), True), ((35.0, 24.0, 18.0), False)],
        [((14.5, 20.0, 18.0), True), ((60.0, 20.0, 18.0), True)],
    ],
    ids=["one click", "two in one place", "two windows apart"],
)
def test_the_same_logits(pair, clicks, prompt_class):
    theirs, mine = _both(pair, clicks, prompt_class)
    # Overlapping windows are summed there and averaged here: compare where one window was.
    if len(clicks) == 2 and clicks[0][0][0] == clicks[1][0][0]:
        clicks = clicks[:1]
        where = np.zeros(SHAPE, bool)
        where[19:51, 4:8, 2:34] = True  # only the first window reaches this far
    else:
        where = np.isfinite(mine)
        assert (np.isnan(theirs) == ~where).all()
    np.testing.assert_allclose(mine[where], theirs[where], atol=1e-4)


def test_overlapping_windows_are_averaged_not_summed(pair):
    clicks = [((35.0, 20.0, 18.0), True), ((39.0, 20.0, 18.0), True)]
    theirs, mine = _both(pair, clicks)
    both = np.zeros(SHAPE, bool)
    both[23:51, 4:36, 2:34] = True
    single = [_single(pair, clicks, start) for start in (19, 23)]
    summed = single[0][4:] + single[1][:-4]
    np.testing.assert_allclose(theirs[both].reshape(summed.shape), summed, atol=2e-4)
    low = np.minimum(single[0][4:], single[1][:-4]) - 1e-4
    high = np.maximum(single[0][4:], single[1][:-4]) + 1e-4
    averaged = mine[both].reshape(summed.shape)
    assert ((low <= averaged) & (averaged <= high)).all()


def _single(pair, clicks, first: int) -> np.ndarray:
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    window = torch.from_numpy(image[first : first + 32, 4:36, 2:34])[None, None]
    points = torch.tensor([[np.subtract(p, (first, 4, 2)).tolist() for p, _ in clicks]])
    with torch.no_grad():
        return (
            pair[0]
            .point_logits(
                pair[0].point_features(window), points.float(), torch.ones(1, len(clicks))
            )[0, 0]
            .numpy()
        )


def test_nothing_is_nan_beyond_the_windows(pair):
    """The released output is 0/0 there, and 255 in the file."""
    theirs, mine = _both(pair, [((35.0, 20.0, 18.0), True)])
    assert np.isnan(theirs).any()
    assert not np.isnan(mine).any()
