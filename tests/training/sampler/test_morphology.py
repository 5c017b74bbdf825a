"""Opening and components on drawn masks."""

from __future__ import annotations

import torch

from tests.training.sampler.drawing import mask
from vista3d.training.sampler.morphology import (
    attached,
    box_of,
    dilate,
    erode,
    largest_component,
    opened,
)

TWO = """
    ..........
    .####.....
    .####.###.
    .########.
    .####.###.
    ..........
"""


def test_opening_keeps_one_solid_piece():
    # The bridge is too thin, and the smaller block is another piece.
    expected = """
        ..........
        .####.....
        .####.....
        .####.....
        .####.....
        ..........
    """
    assert torch.equal(opened(mask(TWO)), mask(expected))


def test_nothing_opens_to_nothing():
    nothing = torch.zeros(4, 4, 4, dtype=torch.bool)
    assert not opened(nothing).any()
    assert not opened(mask(".#. .#. .#.")).any()


def test_dilation_and_erosion_are_dual_and_reach_all_neighbours():
    point = torch.zeros(7, 7, 7, dtype=torch.bool)
    point[3, 3, 3] = True
    assert dilate(point).sum() == 27
    assert dilate(point, 2).sum() == 125
    assert torch.equal(erode(dilate(point, 2), 2), point)
    assert torch.equal(dilate(point[None])[0], dilate(point))


def test_the_largest_and_the_attached_component():
    parts = mask("##..### ##..### .......")
    assert torch.equal(largest_component(parts), mask("....### ....### ......."))
    core = mask("....... ....... .##....")
    assert torch.equal(attached(parts, core), mask("##..... ##..... ......."))
    assert not attached(parts, torch.zeros_like(core)).any()


def test_bounding_box_with_margin():
    assert box_of(mask(TWO, 3)) == (slice(1, 5), slice(1, 9), slice(0, 3))
    assert box_of(mask(TWO, 3), 1) == (slice(0, 6), slice(0, 10), slice(0, 3))
