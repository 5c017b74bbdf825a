"""The rolling feature volume and the schedule give what one big volume would."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inference.conftest import made_up_scan
from vista3d.inference.blending import RollingFeatures, WindowPlan, plan_windows
from vista3d.inference.presets import PRESETS
from vista3d.inference.schedule import make_schedule
from vista3d.inference.tiles import plan_tiles
from vista3d.inference.windows import WindowGrid

SIDE = st.integers(3, 70)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(SIDE, SIDE, SIDE),
    st.sampled_from([0.25, 0.5, 0.625]),
    st.sampled_from(["regular", "even"]),
    st.floats(0.2, 3),
    st.floats(-0.3, 0.3),
    st.sets(st.integers(0, 40)),
)
def test_schedule_is_complete_and_holds_what_it_needs(
    shape, overlap, placement, scale, shear, left_out
):
    """Every tile once, only with final planes, never with forgotten ones."""
    grid = WindowGrid.over(shape, (16, 16, 16), overlap, placement)
    axis = int(np.argmax(shape))
    kept = [s for n, s in enumerate(grid.starts) if n not in left_out]
    plan = WindowPlan(grid, tuple(sorted(kept, key=lambda s: s[axis])), axis)
    to_model = np.diag([scale, scale, scale, 1.0])
    to_model[0, 1] = shear
    tiles = plan_tiles(shape, to_model, (40, 30, 50))
    schedule = make_schedule(plan, tiles)
    if not kept:
        assert schedule.rounds == ()
        return
    seen, first, done = [], schedule.first, 0
    for number, part in enumerate(schedule.rounds):
        for start in part.starts:
            inside = grid.inside(start)[0][axis]
            assert first <= inside.start
            assert inside.stop <= first + schedule.planes
            done += 1
        later = [s for r in schedule.rounds[number + 1 :] for s in r.starts]
        touched = min((grid.inside(s)[0][axis].start for s in later), default=shape[axis])
        for tile in part.tiles:
            assert first <= tile.source[axis].start
            assert tile.source[axis].stop <= min(touched, first + schedule.planes)
        seen += part.tiles
        assert part.first >= first
        first = part.first
    assert done == len(kept)
    assert len(seen) == len({id(tile) for tile in seen})
    covered = np.zeros(shape[axis], bool)
    for start in kept:
        covered[grid.inside(start)[0][axis]] = True
    missed = [tile for tile in tiles if not any(tile is other for other in seen)]
    assert not any(covered[tile.source[axis]].any() for tile in missed)


def test_long_scans_hold_a_window_and_a_tile_not_everything():
    grid = WindowGrid.over((60, 60, 1000), (64, 64, 64), 0.25, "even")
    plan = WindowPlan(grid, grid.starts, 2)
    tiles = plan_tiles((60, 60, 1000), np.diag([0.5, 0.5, 0.5, 1]), (120, 120, 2000))
    assert make_schedule(plan, tiles).planes <= 64 + 18


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ring_equals_a_whole_volume(axis, dtype):
    rng = np.random.default_rng(axis)
    shape, window, length = [9, 8, 7], 6, 10
    shape[axis] = 40
    store_shape = list(shape)
    store_shape[axis] = length
    ring = RollingFeatures(torch.zeros(3, *store_shape, dtype=dtype), axis)
    whole = np.zeros((3, *shape), np.float32)
    for start in range(0, 35, 4):
        ring.advance(start)
        box = [slice(0, n) for n in shape]
        box[axis] = slice(start, min(40, start + window))
        size = [part.stop - part.start for part in box]
        features = rng.standard_normal((3, *size)).astype(np.float32)
        weight = rng.random(size).astype(np.float32)
        ring.add(torch.from_numpy(features), tuple(box), torch.from_numpy(weight))
        whole[(slice(None), *box)] += features * weight
        box[axis] = slice(start, min(40, start + length))
        np.testing.assert_allclose(
            ring.box(tuple(box)).numpy(),
            whole[(slice(None), *box)],
            atol=1e-6 if dtype is torch.float32 else 4e-3,
        )


def test_ring_refuses_what_it_does_not_hold():
    ring = RollingFeatures(torch.zeros(1, 2, 2, 8), 2)
    ring.advance(4)
    with pytest.raises(IndexError, match="not held"):
        ring.box((slice(0, 2), slice(0, 2), slice(3, 5)))
    with pytest.raises(IndexError, match="not held"):
        ring.box((slice(0, 2), slice(0, 2), slice(8, 13)))


def test_windows_without_body_are_left_out():
    hu = np.full((80, 32, 32), -1000, np.float32)
    hu[:20, 8:24, 8:24] = 30
    plan = plan_windows(hu, (32, 32, 32), PRESETS["default"])
    assert plan.starts == ((0, 0, 0),)
    assert plan.skipped == len(plan.grid.starts) - 1 > 0
    everywhere = dataclasses.replace(PRESETS["default"], skip_air=False)
    assert plan_windows(hu, (32, 32, 32), everywhere).skipped == 0


def test_a_scan_without_any_body_is_run_as_a_whole():
    """Values that only look like air (another unit, say) are the network's to judge."""
    plan = plan_windows(np.full((40, 40, 40), -1000, np.float32), (32, 32, 32), PRESETS["default"])
    assert len(plan.starts) == len(plan.grid.starts) > 0


def test_skipping_changes_nothing_where_body_is(model, monkeypatch):
    """Two bodies far apart: the air between them is skipped, or not."""
    body = made_up_scan((36, 34, 40)).array
    array = np.concatenate([body, np.full((36, 34, 150), -1000, np.int16), body], axis=2)
    affine = np.diag([3.0, 3, 3, 1])
    skipped = model.segment(array, affine=affine)
    assert skipped.run["windows_skipped"] > 0
    everywhere = dataclasses.replace(PRESETS["default"], skip_air=False)
    monkeypatch.setitem(PRESETS, "everywhere", everywhere)
    full = model.segment(array, affine=affine, preset="everywhere")
    assert full.run["windows_skipped"] == 0
    tissue = array > -500
    # A skipped window that reaches over the border of a body had no tissue in it, but a weight.
    assert (skipped.labels == full.labels)[tissue].mean() > 0.999
    assert len(np.unique(skipped.labels[tissue])) > 2
    assert not skipped.labels[:, :, 100:120].any()
