"""The clean protocols: what a user has, and no more."""

import numpy as np
import pytest

from tests.evaluation.conftest import TARGET, scan_of
from tests.evaluation.stand_in import LIVER, PANCREAS, SPLEEN, StandIn
from vista3d.evaluation.case import Target
from vista3d.evaluation.clean import automatic, clicks
from vista3d.evaluation.metrics import dice
from vista3d.inference.interactive.pointer import PointMask
from vista3d.inference.interactive.session import InteractiveSession

HALF = 2
"""What the stand-in finds around a positive click: a cube of 5 voxels."""


class Cubes:
    """A pointer that gives a cube around every positive click, and nothing around negative ones."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape, self.prompts = shape, []

    def mask(self, prompt, listen) -> PointMask:
        """As `PointEngine.mask`."""
        self.prompts.append(prompt)
        found = np.zeros(self.shape, bool)
        for side in (True, False):
            for click in prompt.clicks:
                if click.positive == side:
                    i, j, k = (slice(max(0, x - HALF), x + HALF + 1) for x in click.voxel)
                    found[i, j, k] = side
        i, j, k = (slice(0, n) for n in self.shape)
        return PointMask((i, j, k), found, np.ones(self.shape, bool))


class Clickable(StandIn):
    """With sessions of `Cubes`."""

    def session(self, volume, *, overlap):
        """As `Model.session`."""
        self.cubes = Cubes(volume.array.shape)

        def run(classes, progress=None, cancel=None):
            found = self.segment(volume, list(classes))
            return found.labels, found.classes

        return InteractiveSession(volume, self.cubes, run, overlap=overlap)


def test_the_prompts_are_the_data_sets_whatever_the_scan_holds(block):
    model = StandIn(known=(LIVER, SPLEEN, PANCREAS))
    targets = (TARGET, Target("spleen", SPLEEN, (8,)))
    list(automatic.automatic(scan_of(*block, model, targets), targets, (0,)))
    assert model.asked == [(LIVER, SPLEEN)]


def test_a_class_that_the_model_does_not_know_is_not_asked_for(block):
    model = StandIn(known=(LIVER,))
    targets = (TARGET, Target("spleen", SPLEEN, (8,)))
    list(automatic.automatic(scan_of(*block, model, targets), targets[:1], (0,)))
    assert model.asked == [(LIVER,)]


def test_budgets_are_clicks_over_the_whole_scan(block):
    hu, labels = block
    scan = scan_of(hu, labels, Clickable())
    answers = list(clicks.clicked(scan, (TARGET,), (1, 2, 4)))
    assert [(answer.clicks, answer.used) for answer in answers] == [(1, 1), (2, 2), (4, 4)]
    scores = [dice(answer.mask, labels == 7) for answer in answers]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
    assert len(scan.model.cubes.prompts) == 4


def test_nothing_wrong_is_not_clicked(block):
    hu, labels = block
    cube = np.zeros_like(labels)
    cube[5:10, 5:10, 5:10] = 7
    answers = list(clicks.clicked(scan_of(hu, cube, Clickable()), (TARGET,), (1, 5)))
    assert [answer.used for answer in answers] == [1, 1]
    assert dice(answers[-1].mask, cube == 7) == 1


def test_zero_shot_objects_are_anonymous(block):
    scan = scan_of(*block, Clickable())
    list(clicks.zero_shot(scan, (TARGET,), (1,)))
    (prompt,) = scan.model.cubes.prompts
    assert prompt.novel
    assert prompt.class_id is None


def test_a_correction_starts_from_the_automatic_result(block):
    hu, labels = block
    hu = hu.copy()
    hu[6:18, 6:18, 4:9] = -100  # the automatic result misses the lower end
    scan = scan_of(hu, labels, Clickable())
    before, after = clicks.corrected(scan, (TARGET,), (0, 1))
    np.testing.assert_array_equal(before.mask, hu > 400)
    assert (before.used, after.used) == (0, 1)
    assert dice(after.mask, labels == 7) > dice(before.mask, labels == 7)


def test_an_absent_structure_that_was_found_is_clicked_away(block):
    hu, labels = block
    hu = np.full_like(hu, -100)
    hu[10:13, 10:13, 10:13] = 500
    scan = scan_of(hu, np.zeros_like(labels), Clickable())
    before, after = clicks.corrected(scan, (TARGET,), (0, 1))
    assert before.mask.sum() == 27
    assert not after.mask.any()


@pytest.mark.parametrize("protocol", [clicks.clicked, clicks.zero_shot])
def test_structures_do_not_profit_from_each_others_clicks(block, protocol):
    hu, labels = block
    labels = labels.copy()
    labels[6:18, 6:18, 20:26] = 8
    targets = (TARGET, Target("spleen", SPLEEN, (8,)))
    together = list(protocol(scan_of(hu, labels, Clickable(), targets), targets, (3,)))
    alone = list(protocol(scan_of(hu, labels, Clickable(), targets), targets[1:], (3,)))
    np.testing.assert_array_equal(together[1].mask, alone[0].mask)
