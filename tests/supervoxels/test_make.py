"""From a scan to supervoxels: air, grids, the teacher without weights."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from vista3d.errors import InputError
from vista3d.supervoxels import IntensityTeacher, segment_array, supervoxels
from vista3d.supervoxels.air import outside_air
from vista3d.supervoxels.enlarge import enlarge
from vista3d.supervoxels.make import WORKING_VOXELS, working_shape
from vista3d.supervoxels.resampling import resize, smooth, taps
from vista3d.volume import Volume


def patient(shape: tuple[int, int, int] = (40, 36, 32)) -> np.ndarray:
    """HU: a body of fat with two organs, a lung and a bone, in air."""
    hu = np.full(shape, -1000, np.int16)
    hu[4:-4, 4:-4, :] = -100
    hu[8:18, 8:28, 6:26] = 110
    hu[24:32, 8:16, 6:26] = 40
    hu[24:32, 20:30, 4:28] = -860
    hu[19:22, 28:31] = 700
    noise = np.random.default_rng(0).normal(scale=8, size=shape)
    return (hu + noise).astype(np.int16)


class TestAir:
    def test_air_is_what_surrounds_the_body_and_not_its_lung(self):
        hu = patient()
        air = outside_air(hu, 0.01)
        body = np.zeros(hu.shape, bool)
        body[4:-4, 4:-4, :] = True
        np.testing.assert_array_equal(air, ~body)

    def test_a_crop_of_the_chest_has_no_air(self):
        hu = np.full((20, 20, 20), 40)
        hu[5:, 5:] = -870
        assert not outside_air(hu, 0.01).any()

    def test_closing_fills_what_is_thinner_than_two_voxels(self):
        hu = np.full((30, 30, 30), -1000)
        hu[10:, 10:, 10:] = 40
        hu[15:, 15:, :5] = -100  # thick
        hu[3, :8, :8] = -100  # a sheet of one voxel
        air = outside_air(hu, 1.0)
        assert air[3, :8, :8].all()
        assert not air[16:, 16:, :4].any()

    def test_specks_are_air(self):
        hu = np.full((30, 30, 30), -1000)
        hu[10:, 10:, 10:] = 40
        hu[2:5, 2:5, 2:5] = 500  # 27 voxels
        assert outside_air(hu, 0.03)[3, 3, 3]
        assert not outside_air(hu, 0.05)[3, 3, 3]

    @pytest.mark.parametrize("value", [-1000, 40])
    def test_nothing_but_air_or_no_air(self, value):
        air = outside_air(np.full((5, 5, 5), value), 0.01)
        assert air.all() == (value == -1000)
        assert air.any() == (value == -1000)


class TestResampling:
    @pytest.mark.parametrize(("size", "out"), [(4, 9), (10, 10), (7, 13)])
    def test_enlarging_is_torchs_bilinear(self, size, out):
        line = torch.randn(1, 1, size)
        theirs = torch.nn.functional.interpolate(line, out, mode="linear", align_corners=False)
        torch.testing.assert_close(line[0, 0] @ taps(size, out).T, theirs[0, 0])

    def test_reducing_keeps_the_mean_and_every_sample_counts(self):
        matrix = taps(12, 4)
        torch.testing.assert_close(matrix.sum(1), torch.ones(4))
        assert (matrix.sum(0) > 0).all()

    def test_resize_keeps_a_gradient(self):
        ramp = torch.arange(20.0)[:, None, None].expand(20, 6, 6)
        small = resize(ramp, (10, 3, 6))
        torch.testing.assert_close(small[2:-2, 0, 0], torch.arange(20.0).view(10, 2).mean(1)[2:-2])

    def test_smoothing_is_scipys(self):
        volume = np.random.default_rng(0).random((20, 18, 16)).astype(np.float32)
        ours = smooth(torch.from_numpy(volume), (1.0, 2.0, 0.0)).numpy()
        theirs = gaussian_filter(volume, (1, 2, 0), mode="reflect", truncate=3.0)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


class TestEnlarge:
    def test_the_same_grid_is_the_same(self):
        labels = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
        np.testing.assert_array_equal(enlarge(labels, (2, 3, 4)), labels)

    def test_a_ball_becomes_a_rounder_ball(self):
        def ball(side: int) -> np.ndarray:
            grid = (np.indices((side,) * 3) + 0.5) / side - 0.5
            return 1 + (np.linalg.norm(grid, axis=0) < 0.35).astype(np.int32)

        truth, coarse = ball(40), ball(10)
        smooth_ = enlarge(coarse, (40, 40, 40))
        nearest = coarse.repeat(4, 0).repeat(4, 1).repeat(4, 2)
        assert (smooth_ != truth).sum() < 0.85 * (nearest != truth).sum()

    def test_outside_never_wins(self):
        labels = np.zeros((3, 3, 3), np.int32)
        labels[1, 1, 1] = 5
        assert enlarge(labels, (9, 9, 9))[2:7, 2:7, 2:7].min() == 5

    def test_axes_of_one_voxel(self):
        labels = np.array([[[1, 2]]], np.int32)
        assert enlarge(labels, (3, 2, 4))[1, 1].tolist() == [1, 1, 2, 2]


class TestSegmentArray:
    def test_organs_are_not_mixed(self):
        hu = patient()
        labels = segment_array(hu, 2.0, 40, IntensityTeacher())
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels > 0, ~outside_air(hu, 0.008))
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
        # The two organs, lung and bone: the inside of each shares no supervoxel with another.
        inner = [labels[10:16, 10:26, 8:24], labels[26:30, 10:14, 8:24], labels[26:30, 22:28, 6:26]]
        kinds = [set(np.unique(part)) for part in inner]
        assert not kinds[0] & kinds[1]
        assert not kinds[0] & kinds[2]
        assert not kinds[1] & kinds[2]

    def test_only_air(self):
        assert not segment_array(np.full((8, 8, 8), -1024), 1.5, 10, IntensityTeacher()).any()

    def test_it_is_the_same_every_time(self):
        first, second = (segment_array(patient(), 2.0, 30, IntensityTeacher()) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_a_tiny_array(self):
        labels = segment_array(np.full((1, 2, 3), 40), 1.5, 100, IntensityTeacher())
        assert labels.min() > 0

    def test_two_axes_are_refused(self):
        with pytest.raises(InputError, match="three axes"):
            segment_array(np.zeros((4, 4)), 1.5, 10, IntensityTeacher())

    @pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.uint16])
    def test_any_number_type(self, dtype):
        hu = np.maximum(patient(), 0).astype(dtype)
        assert segment_array(hu, 2.0, 20, IntensityTeacher()).max() > 5


def test_a_large_scan_is_worked_on_at_reduced_resolution():
    shape = working_shape((512, 512, 300), (0.8, 0.8, 1.0))
    assert np.prod(shape) == pytest.approx(WORKING_VOXELS, rel=0.05)
    sizes = [512 * 0.8 / shape[0], 512 * 0.8 / shape[1], 300 * 1.0 / shape[2]]
    assert max(sizes) < 1.05 * min(sizes)
    assert working_shape((96, 96, 80), (1.5, 1.5, 1.5)) == (96, 96, 80)
    assert working_shape((512, 512, 20), (0.8, 0.8, 5.0))[2] == 20


def test_supervoxels_lie_on_the_scans_own_grid():
    affine = np.diag([-2.0, -2.0, 2.5, 1.0])
    volume = Volume.from_array(patient(), affine)
    labels = supervoxels(volume, IntensityTeacher(), 30)
    assert labels.dtype == np.uint16
    assert labels.shape == volume.array.shape


def test_importing_the_room_is_light():
    code = (
        "import sys, vista3d.supervoxels; "
        "print([m for m in ('transformers', 'skimage', 'PIL', 'nibabel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
