"""Dice of class prompts on a whole scan."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.conftest import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, made_up
from tests.training.recipes import recipe
from vista3d.network.vista3d import Vista3D
from vista3d.training import validation
from vista3d.volume import normalise


@pytest.mark.parametrize("size", [16, 32, 48])
def test_what_is_found_anywhere_in_the_scan_counts_once(size: int, monkeypatch: pytest.MonkeyPatch):
    """A network that takes everything denser than the right kidney for a liver."""
    case = made_up()
    image = np.array(case.image)
    image[30:40, 0:10, 30:40] = 200  # far from the liver, in the corner of the scan
    wrong = 1000
    case = replace(case, image=image)

    def thresholded(model: Vista3D, window: torch.Tensor, ids: list[int]) -> torch.Tensor:
        dense = window[0, 0] > float(normalise(np.array([32.0]))[0])
        return torch.stack([dense if i == LIVER else torch.zeros_like(dense) for i in ids])

    monkeypatch.setattr(validation, "_found", thresholded)
    found = validation.scan_dice(Vista3D(recipe().network).eval(), case, size)
    labels = np.asarray(case.labels)
    liver, kidney = (labels == LIVER).sum(), (labels == LEFT_KIDNEY).sum()
    assert found == {
        LIVER: pytest.approx(2 * liver / (liver + liver + kidney + wrong)),
        RIGHT_KIDNEY: 0,
        LEFT_KIDNEY: 0,
    }
