"""Dice against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d.errors import InputError
from vista3d.results import dice
from vista3d.results import overlap as overlap_module


@pytest.mark.parametrize("slab", [1, 50, 4_000_000])
def test_dice_of_every_class(monkeypatch, slab):
    monkeypatch.setattr(overlap_module, "SLAB_VOXELS", slab)
    rng = np.random.default_rng(0)
    found = rng.integers(0, 4, (7, 6, 5)).astype(np.uint8)
    truth = np.asfortranarray(rng.integers(0, 4, (7, 6, 5)).astype(np.uint16))
    scores = dice(found, truth, (1, 2, 3))
    for label, score in scores.items():
        a, b = found == label, truth == label
        assert score == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_what_the_truth_does_not_hold_has_no_score():
    found, truth = np.ones((2, 2, 2), np.uint8), np.full((2, 2, 2), 3, np.uint8)
    assert dice(found, truth, (1, 3, 200)) == {1: None, 3: 0.0, 200: None}


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"\(2, 2, 3\).*\(2, 2, 2\)"):
        dice(np.ones((2, 2, 2), np.uint8), np.ones((2, 2, 3), np.uint8), (1,))
