"""What the released training does to a patch (facts 3.2), and what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.training.conftest import LEFT_KIDNEY, RIGHT_KIDNEY
from tests.training.recipes import AUTO, POINTS, recipe
from vista3d.training import examples, released_patches
from vista3d.training.data.prepared import Prepared
from vista3d.training.examples import Examples
from vista3d.training.released_patches import released_patch
from vista3d.volume import A_MAX, A_MIN

SCALE = A_MAX - A_MIN


def drawn(case: Prepared, seed: int, size: int = 24):
    return released_patch(case, size, np.random.default_rng(seed), spacing=4.0)


def places(whole: np.ndarray, part: np.ndarray) -> int:
    """Where in a volume a cube lies as it is."""
    windows = np.lib.stride_tricks.sliding_window_view(whole, part.shape)
    return int((windows == part).all((3, 4, 5)).sum())


def test_four_patches_of_five_are_cut_out_as_they_are(torso: Prepared):
    """Not rotated, bent, mirrored or cropped; the fifth one is zoomed."""
    straight = 0
    for seed in range(100):
        labels = drawn(torso, seed).labels.numpy().astype(np.int16)
        straight += places(np.asarray(torso.labels), labels) > 0
    assert 70 <= straight <= 95


def test_without_the_changes_a_patch_is_the_scan(torso: Prepared, monkeypatch):
    monkeypatch.setattr(released_patches, "OFTEN", 0.0)
    patch = drawn(torso, 3)
    # Every tissue of the made-up torso has one density.
    for class_id, hu in ((0, -100), (1, 60), (RIGHT_KIDNEY, 30), (LEFT_KIDNEY, 35)):
        inside = patch.hu[patch.labels == class_id]
        torch.testing.assert_close(inside, torch.full_like(inside, hu), atol=0.2, rtol=0)


def test_a_scan_smaller_than_the_patch_lies_in_its_middle(torso: Prepared, monkeypatch):
    monkeypatch.setattr(released_patches, "OFTEN", 0.0)
    patch = drawn(torso, 0, size=48)
    assert (patch.labels[4:44, 4:44, 4:44].numpy() == torso.labels).all()
    assert patch.hu[:4].max() <= A_MIN


def test_the_middle_of_a_class_is_as_likely_as_anywhere(torso: Prepared):
    """The liver and two kidneys: a quarter of the cubes lies anywhere."""
    starts = [released_patches._start(torso, 2, np.random.default_rng(s)) for s in range(400)]
    inside = [torso.labels[tuple(np.add(start, 1))] for start in starts]
    for class_id in (1, RIGHT_KIDNEY, LEFT_KIDNEY):
        assert 0.18 < np.mean(np.equal(inside, class_id)) < 0.34


def test_zoom_enlarges_around_the_middle():
    start = np.array([3, 4, 5])
    plain, large = (released_patches._cube(start, 5, zoom) for zoom in (1.0, 1.25))
    assert plain[0, 0, 0].tolist() == [3, 4, 5]
    torch.testing.assert_close(large[2, 2, 2], plain[2, 2, 2])
    torch.testing.assert_close((large[4] - large[0])[0, 0, 0], torch.tensor(4 / 1.25))


def test_contrast_brightness_and_noise_stay_in_their_ranges(monkeypatch):
    monkeypatch.setattr(released_patches, "OFTEN", 1.0)
    monkeypatch.setattr(released_patches, "_low_resolution", lambda value, zoom: value)
    hu = torch.full((16, 16, 16), A_MIN + 0.5 * SCALE)
    for seed in range(30):
        value = (released_patches._scanner(hu, np.random.default_rng(seed)) - A_MIN) / SCALE
        assert 0.44 - 0.11 < float(value.mean()) < 0.56 + 0.11
        assert float(value.std()) < 0.21


def test_a_label_map_gets_densities(torso: Prepared):
    patch = drawn(replace(torso, image=None), 0)
    assert patch.hu[patch.labels > 0].std() > 0


def test_a_stage_says_which_patches(torso: Prepared, monkeypatch):
    calls = []
    monkeypatch.setattr(
        examples, "released_patch", lambda *a, **k: calls.append(k) or released_patch(*a, **k)
    )
    for stage in (AUTO, POINTS):
        Examples([torso], recipe(stage), 0, 0, 6).example(0)
    assert not calls
    for stage in (AUTO, replace(POINTS, supervoxels=True)):
        Examples([torso], recipe(replace(stage, augmentation="released")), 0, 0, 6).example(0)
    assert [call["supervoxels"] for call in calls] == [False, True]
