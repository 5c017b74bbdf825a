"""Against MONAI's own network on random weights, tolerance 1e-4."""

import warnings

import pytest
import torch

from vista3d.network.config import OFFICIAL
from vista3d.network.vista3d import Vista3D

SIZE = 32


@pytest.fixture(scope="module")
def pair():
    """MONAI's network and ours with the same random weights."""
    from monai.networks.nets import vista3d132

    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = vista3d132(in_channels=1).eval().requires_grad_(False)
    with torch.device("meta"):
        ours = Vista3D(OFFICIAL)
    ours.load_state_dict(theirs.state_dict(), assign=True)  # strict: the key layout is theirs
    return theirs, ours.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 1, SIZE, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


def test_class_prompts(pair, image: torch.Tensor):
    theirs, ours = pair
    ids = torch.tensor([1, 3, 57, 132, 200, 511])
    expected = theirs(image, class_vector=ids[:, None])
    torch.testing.assert_close(ours.forward_classes(image, ids), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "prompt_class",
    [None, torch.tensor([1, 24, 57]), torch.tensor([133, 600, 5])],
    ids=["no class", "supported", "novel"],
)
def test_points(pair, image: torch.Tensor, prompt_class: torch.Tensor | None):
    theirs, ours = pair
    points = torch.tensor(
        [
            [[3.0, 4, 5], [10, 12, 7], [30, 30, 30], [1, 2, 3], [5, 5, 5]],
            [[16, 16, 8], [1, 2, 3], [9, 9, 9], [4, 4, 4], [8, 1, 8]],
            [[20.5, 7.25, 9], [1, 1, 1], [2, 2, 2], [6, 6, 6], [7, 3, 7]],
        ]
    )
    labels = torch.tensor([[1, 0, -1, 2, 3], [3, 2, 1, 0, -1], [1, -1, -1, 1, 0]])
    expected = theirs(
        image, point_coords=points, point_labels=labels, prompt_class=prompt_class
    )  # fmt: skip
    feature = ours.point_features(image)
    found = ours.point_logits(feature, points, labels, prompt_class)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_more_than_32_objects(pair, image: torch.Tensor):
    theirs, ours = pair
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(35, 2, 3, generator=generator) * (SIZE - 2) + 1
    labels = torch.randint(0, 4, (35, 2), generator=generator)
    expected = theirs(image, point_coords=points, point_labels=labels)
    found = ours.point_logits(ours.point_features(image), points, labels)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_window_of_wrong_size_says_so(pair):
    _, ours = pair
    with pytest.raises(ValueError, match="multiple of 16"):
        ours.encode(torch.zeros(1, 1, 32, 32, 40))
