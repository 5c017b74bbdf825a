"""Which scan, which patch, which windows."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.conftest import LIVER, made_up
from tests.training.recipes import AUTO, POINTS, recipe
from vista3d import anatomy
from vista3d.training.augmentation import draw_patch, plain_patch
from vista3d.training.data.prepared import Prepared
from vista3d.training.examples import Examples, choose_case, draw_views, with_lesions


def case(source: str, weight: float, classes: int, name: str = "x") -> Prepared:
    made = made_up()
    own = replace(made.case.source, name=source, weight=weight)
    annotated = frozenset(range(1, classes + 1))
    return replace(made, case=replace(made.case, source=own, name=name), annotated=annotated)


def shares(cases: list[Prepared], sampling: str) -> dict[tuple[str, str], float]:
    rng = np.random.default_rng(0)
    chosen = [choose_case(cases, sampling, rng).case for _ in range(4000)]
    count = Counter((c.source.name, c.name) for c in chosen)
    return {key: n / 4000 for key, n in count.items()}


def test_how_scans_are_chosen():
    cases = [case("A", 3.0, 4, "poor"), case("A", 3.0, 12, "rich"), case("B", 1.0, 1)]
    cases.append(case("C", 0.0, 5))  # weight 0: never
    third = pytest.approx(1 / 3, abs=0.03)
    assert shares(cases, "scans") == {
        ("A", "poor"): third, ("A", "rich"): third, ("B", "x"): third,
    }  # fmt: skip
    quarter, half = pytest.approx(0.25, abs=0.03), pytest.approx(0.5, abs=0.03)
    assert shares(cases, "datasets") == {
        ("A", "poor"): quarter, ("A", "rich"): quarter, ("B", "x"): half,
    }  # fmt: skip
    assert shares(cases, "weights") == {
        ("A", "poor"): pytest.approx(0.75 * 0.25, abs=0.03),
        ("A", "rich"): pytest.approx(0.75 * 0.75, abs=0.03),
        ("B", "x"): quarter,
    }


def test_two_processes_share_the_examples_of_one(torso: Prepared):
    one = Examples([torso], recipe(replace(AUTO, batch=2)), 0, 0, 2)
    halves = [
        Examples([torso], recipe(replace(AUTO, batch=1)), 0, 0, 2, rank, 2) for rank in (0, 1)
    ]
    for (step, both), *parts in zip(one, *halves, strict=True):
        for example, (other, (alone,)) in zip(both, parts, strict=True):
            assert other == step
            assert torch.equal(example.patch.hu, alone.patch.hu)
    assert not torch.equal(both[0].patch.hu, both[1].patch.hu)


def test_windows_lie_in_the_patch_and_show_their_objects(torso: Prepared):
    rng = np.random.default_rng(0)
    stage = replace(POINTS, views=4)
    patch = draw_patch(torso, 48, rng, spacing=4.0)
    example = draw_views(patch, stage, 4.0, rng)
    assert example.views
    for view in example.views:
        assert all(part.start >= 0 and part.stop <= 48 for part in view.box)
        assert [part.stop - part.start for part in view.box] == [32] * 3
        assert all(target.mask.shape == (32, 32, 32) for target in view.targets)
        assert all(bool(target.mask.any()) for target in view.targets)
    assert torch.equal(patch.hu, draw_patch(torso, 48, np.random.default_rng(0), spacing=4.0).hu)


def test_supervoxels_move_with_the_patch(torso: Prepared):
    """Labels as supervoxels: whatever is done to a patch, they stay the same map."""
    marked = replace(torso, supervoxels=torso.labels.astype(np.int32))
    mirrored = 0
    for seed in range(12):
        patch = draw_patch(marked, 32, np.random.default_rng(seed), supervoxels=True, spacing=4.0)
        plain = draw_patch(torso, 32, np.random.default_rng(seed), spacing=4.0)
        assert plain.supervoxels is None
        assert torch.equal(plain.hu, patch.hu)
        regions = patch.supervoxels
        assert torch.equal(regions > 0, patch.labels > 0)
        names = {int(r): int(patch.labels[regions == r][0]) for r in regions.unique() if int(r)}
        mirrored += any(r != label for r, label in names.items())
        assert all(label in (r, anatomy.mirror(r)) for r, label in names.items())
    assert mirrored  # a mirrored kidney changes its class, not its supervoxel


def test_lesions_are_labelled_and_known(torso: Prepared):
    patch = plain_patch(torso, LIVER, 32)
    changed = with_lesions(patch, 4.0, np.random.default_rng(3))
    new = set(changed.labels.unique().tolist()) - set(patch.labels.unique().tolist())
    assert new
    assert new <= changed.annotated
    same = changed.labels == patch.labels
    assert (changed.hu - patch.hu).abs()[~same].mean() > 3
    assert with_lesions(
        replace(patch, rivals=frozenset(new) | {3}), 4.0, np.random.default_rng(3)
    ).rivals == {3}
    nothing = replace(patch, labels=torch.zeros_like(patch.labels))
    assert with_lesions(nothing, 4.0, np.random.default_rng(3)) is nothing


def test_a_plain_patch_is_the_scan_itself(torso: Prepared):
    patch = plain_patch(torso, LIVER, 16)
    again = plain_patch(torso, LIVER, 16)
    assert torch.equal(patch.hu, again.hu)
    assert (patch.hu[patch.labels == LIVER] - 60).abs().max() < 1e-3
    assert int((patch.labels == LIVER).sum()) > 500
    with pytest.raises(ValueError, match="no image"):
        plain_patch(replace(torso, image=None), LIVER, 16)
