from dataclasses import replace

import numpy as np
import torch

from tests.training.conftest import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY
from tests.training.recipes import AUTO, POINTS, recipe
from vista3d.training import augmentation
from vista3d.training.augmentation import AIR, draw_patch
from vista3d.training.data.prepared import Prepared, mark_head
from vista3d.training.examples import Examples
from vista3d.training.synthetic.tissues import HEAD


def test_sampling_at_voxel_centres_returns_the_voxels():
    rng = np.random.default_rng(0)
    array = rng.integers(-1000, 1000, (9, 11, 13)).astype(np.int16)
    axes = [torch.arange(2.0, 7.0), torch.arange(3.0, 8.0), torch.arange(1.0, 6.0)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    for nearest in (True, False):
        out = augmentation.sample(array, grid, nearest=nearest, outside=AIR)
        np.testing.assert_allclose(out.numpy(), array[2:7, 3:8, 1:6], atol=0.05)


def test_sampling_outside_the_scan_is_air():
    grid = torch.full((2, 2, 2, 3), -20.0)
    array = np.full((5, 5, 5), 40, np.int16)
    out = augmentation.sample(array, grid, nearest=False, outside=AIR)
    assert (out == AIR).all()


def test_same_seed_same_patch(torso: Prepared):
    one, two = (draw_patch(torso, 32, np.random.default_rng(5), spacing=4.0) for _ in range(2))
    assert torch.equal(one.hu, two.hu)
    assert torch.equal(one.labels, two.labels)


def test_labels_stay_on_their_tissue(torso: Prepared):
    """Whatever the deformation, the brightest structure is still the one labelled liver."""
    checked = 0
    for seed in range(30):
        patch = draw_patch(torso, 32, np.random.default_rng(seed), spacing=4.0)
        liver = patch.labels == LIVER
        outside = (patch.labels == 0) & (patch.hu > -300)
        if liver.sum() > 500 and outside.sum() > 500:
            checked += 1
            assert patch.hu[liver].median() > patch.hu[outside].median() + 50
    assert checked > 5


def test_mirroring_swaps_left_and_right():
    table = augmentation._mirror_table()
    assert table[LEFT_KIDNEY] == RIGHT_KIDNEY
    assert table[RIGHT_KIDNEY] == LEFT_KIDNEY
    assert table[LIVER] == LIVER
    assert table[31] == 28  # the middle lobe's mirror image is the lingula
    assert table[0] == 0


def test_a_left_kidney_is_always_on_the_left(torso: Prepared):
    """Mirrored or not, a class keeps its side of the patch."""
    both = 0
    for seed in range(60):
        patch = draw_patch(torso, 40, np.random.default_rng(seed), spacing=4.0)
        left = torch.nonzero(patch.labels == LEFT_KIDNEY)
        right = torch.nonzero(patch.labels == RIGHT_KIDNEY)
        if len(left) > 30 and len(right) > 30:
            both += 1
            # It lies at larger i in the made-up torso.
            assert left[:, 0].float().mean() > right[:, 0].float().mean()
    assert both > 5


def test_absent_classes_of_the_region_are_annotated(torso: Prepared):
    patch = draw_patch(torso, 32, np.random.default_rng(1), spacing=4.0)
    assert 220 in patch.annotated


def test_no_label_is_left_in_blanked_air(torso: Prepared):
    hu = torch.zeros(16, 16, 16)
    labels = torch.ones(16, 16, 16, dtype=torch.int64)
    cut, kept = augmentation._limit_field_of_view(hu, labels, np.random.default_rng(0))
    assert ((cut == AIR) == (kept == 0)).all()
    assert (kept == 1).any()


def test_the_head_is_everything_from_the_brain_stem_upwards():
    labels = np.zeros((4, 4, 10), np.int16)
    assert (mark_head(labels) == 0).all()
    labels[1, 1, 6:8] = 220
    labels[2, 2, 2:9] = 121
    marked = mark_head(labels)
    assert (marked[:, :, :6] == labels[:, :, :6]).all()
    assert marked[0, 0, 6] == HEAD
    assert marked[2, 2, 7] == 121


def test_an_unknown_class_is_a_rival_where_something_else_is_labelled(torso: Prepared):
    pancreas = 4
    patch = draw_patch(
        torso, 32, np.random.default_rng(5), frozenset({LIVER, pancreas}), spacing=4.0
    )
    assert patch.rivals == {pancreas}
    assert patch.decided[patch.labels > 0].all()


def test_some_data_sets_are_never_mirrored(torso: Prepared):
    source = replace(torso.case.source, mirror=False)
    fixed = replace(torso, case=replace(torso.case, source=source))
    flipped = 0
    for seed in range(20):
        one, other = (
            draw_patch(case, 32, np.random.default_rng(seed), spacing=4.0).labels
            for case in (torso, fixed)
        )
        flipped += not torch.equal(one, other)
        right, left = (torch.nonzero(other == i)[:, 0] for i in (RIGHT_KIDNEY, LEFT_KIDNEY))
        assert not len(right) or not len(left) or right.float().mean() < left.float().mean()
    assert flipped > 2


def test_patches_anywhere(torso: Prepared):
    """Around structures only, every patch shows one; anywhere, many do not."""

    def share(anywhere: float) -> float:
        case = replace(torso.case, source=replace(torso.case.source, anywhere=anywhere))
        drawn = (
            draw_patch(
                replace(torso, case=case), 8, np.random.default_rng(seed), spacing=4.0
            ).labels
            for seed in range(60)
        )
        return float(np.mean([bool((labels > 0).any()) for labels in drawn]))

    assert share(0.0) > 0.9
    assert share(1.0) < 0.4


def test_other_densities_are_given_as_often_as_asked(torso: Prepared, monkeypatch):
    calls = []
    monkeypatch.setattr(augmentation, "perturb_structures", lambda hu, *_: calls.append(1) or hu)
    for share, least, most in ((0.0, 0, 0), (0.5, 3, 17), (1.0, 20, 20)):
        calls.clear()
        for seed in range(20):
            draw_patch(torso, 16, np.random.default_rng(seed), resynthesis=share, spacing=4.0)
        assert least <= len(calls) <= most


def test_a_stage_says_how_often(torso: Prepared, monkeypatch):
    calls = []
    monkeypatch.setattr(augmentation, "perturb_structures", lambda hu, *_: calls.append(1) or hu)
    for stage in (replace(AUTO, resynthesis=0.0), replace(POINTS, resynthesis=0.0)):
        Examples([torso], recipe(stage), 0, 0, 6).example(0)
    assert not calls
    for stage in (replace(AUTO, resynthesis=1.0), replace(POINTS, resynthesis=1.0)):
        Examples([torso], recipe(stage), 0, 0, 6).example(0)
    assert len(calls) == 2


def test_without_variation_a_patch_is_cut_out_straight():
    centre = np.array([4.0, 5.0, 6.0])
    rng = np.random.default_rng(0)
    for _ in range(10):
        where = augmentation._coordinates(centre, 5, rng, 0.0)
        torch.testing.assert_close(where[2, 2, 2], torch.tensor([4.0, 5.0, 6.0]))
        torch.testing.assert_close(where[4, 0, 2], torch.tensor([6.0, 3.0, 6.0]))


def test_less_variation_bends_less():
    def spread(variation: float) -> float:
        rng = np.random.default_rng(0)
        straight = augmentation._coordinates(np.zeros(3), 9, rng, 0.0)
        drawn = [augmentation._coordinates(np.zeros(3), 9, rng, variation) for _ in range(20)]
        return float(np.mean([(one - straight).abs().mean() for one in drawn]))

    assert 0 < spread(0.35) < 0.6 * spread(1.0)
