"""Painting: partial volume, tables of HU, noise, deformation, vessel trees."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d.phantom import tissue
from vista3d.phantom.canvas import Canvas, shelled
from vista3d.phantom.patient import draw_patient
from vista3d.phantom.render import Grid, coordinates, fine, make_scene
from vista3d.phantom.shapes import ellipsoid
from vista3d.phantom.texture import grain, scanner_noise
from vista3d.phantom.vessels import grow_tree


def canvas(step: float = 2.0) -> Canvas:
    axis = np.arange(-30, 30 + step, step, dtype=np.float32)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return Canvas(x, y, z, np.full(x.shape, -1000, np.float32), np.zeros(x.shape, np.uint8), step)


def test_partial_volume_conserves_the_amount_of_tissue() -> None:
    board = canvas()
    board.paint(ellipsoid((0, 0, 0), (15,) * 3), 0.0, 1)
    amount = (board.hu + 1000).sum() / 1000 * 8
    assert amount == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.02)
    edge = (board.hu > -990) & (board.hu < -10)
    assert edge.any()
    assert set(np.unique(board.labels)) == {0, 1}


def test_later_paint_covers_and_none_keeps() -> None:
    board = canvas()
    board.paint(ellipsoid((0, 0, 0), (15,) * 3), 50.0, 1)
    board.paint(ellipsoid((0, 0, 0), (5,) * 3), 100.0)
    board.paint(ellipsoid((0, 0, 10), (4,) * 3), None, 2)
    assert board.hu[15, 15, 15] == 100
    assert board.labels[15, 15, 15] == 1
    assert board.labels[15, 15, 20] == 2
    assert board.hu[15, 15, 20] == 50


def test_shell_is_denser_than_core() -> None:
    board = canvas(1.0)
    board.paint(ellipsoid((0, 0, 0), (20,) * 3), shelled(1000, 100, 3))
    assert board.hu[30, 30, 30] == pytest.approx(100)
    assert board.hu[30, 30, 30:].max() > 900


@pytest.mark.parametrize("phase", tissue.PHASES)
def test_contrast_follows_the_phase(phase: tissue.Phase) -> None:
    aorta, liver = (tissue.mean(name, phase, 1.0, 0.0) for name in ("aorta", "liver"))
    if phase == "native":
        assert aorta < liver
    elif phase == "arterial":
        assert aorta > 250
        assert liver < 90
    else:
        assert 120 < aorta < 200
        assert liver > 95


def test_noise_has_the_asked_level_in_every_slice() -> None:
    level = np.array([5.0, 20.0, 10.0])
    noise = scanner_noise((96, 96, 3), (2.5, 2.5, 3), level, np.random.default_rng(0))
    assert noise.std((0, 1)) == pytest.approx(level, rel=0.15)


def test_grain_depends_on_the_place_only() -> None:
    field = grain(np.random.default_rng(0))
    x = np.linspace(-500, 500, 400, dtype=np.float32).reshape(-1, 1, 1)
    whole = field(x, x, x, 7.0)
    assert np.allclose(whole[100:200], field(x[100:200], x[100:200], x[100:200], 7.0))
    assert 0.3 < whole.std() < 1.2


def test_deformation_never_folds() -> None:
    for seed in range(12):
        scene = make_scene(draw_patient(seed))
        grid = Grid((-200, -140, -300), (20, 20, 20), (20, 16, 32))
        x, y, z = coordinates(scene, grid, 0, 32)
        assert (np.diff(x, axis=0) > 5).all()
        assert (np.diff(y, axis=1) > 5).all()
        assert (np.diff(z, axis=2) > 5).all()


@pytest.mark.parametrize("spacing", [(1, 1, 5), (4, 4, 8), (2.5, 2.5, 3), (8, 8, 8)])
def test_fine_grid_covers_the_same_voxels(spacing: tuple[float, float, float]) -> None:
    grid = Grid((-100, -50, 10), spacing, (7, 8, 9))
    detailed, factors = fine(grid)
    assert max(detailed.spacing) <= max(3.2, 1.5 * sorted(spacing)[1])
    assert np.allclose(np.multiply(detailed.spacing, factors), spacing)
    assert all(f % 2 for f in factors)
    for a in range(3):
        centre = detailed.origin[a] + detailed.spacing[a] * (factors[a] // 2)
        assert centre == pytest.approx(grid.origin[a])


def test_vessel_tree_reaches_its_targets_and_thins_out() -> None:
    targets = np.random.default_rng(1).uniform(-50, 50, (80, 3))
    tree = grow_tree((0, 0, 0), targets, 6.0, thinnest=1.5)
    ends = {tuple(np.round(b, 6)) for _, b, _, _ in tree}
    assert {tuple(np.round(t, 6)) for t in targets} == ends
    starts = {a for a, _, _, _ in tree}
    assert all(a == (0.0, 0.0, 0.0) or a in {b for _, b, _, _ in tree} for a in starts)
    radii = [ra for _, _, ra, _ in tree]
    assert min(radii) == 1.5
    assert 3 < max(radii) <= 6
