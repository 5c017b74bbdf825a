"""Scans drawn for a label map come back on its grid, whatever that is."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d.training.synthetic.scan import draw_for, perturb
from vista3d.volume import Volume

LIVER, SACRUM = 1, 97


def _labels(spacing: tuple[float, float, float], flips: tuple[int, int, int]) -> Volume:
    """A liver of 8 x 8 x 10 cm to the patient's right of a sacrum, in 24 x 16 x 12 cm."""
    shape = [round(mm / s) for mm, s in zip((240, 160, 120), spacing, strict=True)]
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)],
                       indexing="ij")  # fmt: skip
    x, y, _ = axes
    ids = np.zeros(shape, np.uint8)
    ids[(x > 50) & (x < 110) & (y > 40) & (y < 120)] = SACRUM
    ids[(x > 120) & (x < 200) & (y > 40) & (y < 120)] = LIVER
    affine = np.diag([*spacing, 1.0])
    for axis, flip in enumerate(flips):
        if flip < 0:
            ids = np.flip(ids, axis)
            affine[:3, 3] += affine[:3, axis] * (ids.shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(ids), affine)


@pytest.mark.parametrize(
    ("spacing", "flips"),
    [((4, 4, 4), (1, 1, 1)), ((4, 4, 6), (-1, -1, 1)), ((6, 4, 3), (1, -1, -1))],
)
def test_tissues_lie_where_their_labels_are(spacing, flips):
    labels = _labels(spacing, flips)
    hu = draw_for(labels, np.random.default_rng(0))
    assert hu.shape == labels.array.shape
    assert hu.dtype == np.float32
    liver, bone, outside = (float(np.median(hu[labels.array == i])) for i in (LIVER, SACRUM, 0))
    assert 20 < liver < 160
    assert bone > 120
    assert outside < -90


def test_the_seed_decides():
    labels = _labels((6, 6, 6), (1, 1, 1))
    one, two, other = (draw_for(labels, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_real_scan_keeps_what_has_no_label():
    labels = _labels((6, 6, 6), (1, 1, 1))
    scan = Volume(np.full(labels.array.shape, 30, np.int16), labels.affine)
    hu = perturb(scan, labels, np.random.default_rng(0))
    assert (hu[labels.array == 0] == 30).all()
    for class_id in (LIVER, SACRUM):
        moved = np.unique(hu[labels.array == class_id])
        assert len(moved) == 1
        assert moved[0] != 30
