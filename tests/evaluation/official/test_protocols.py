"""The released protocols on a model that calls bright voxels the object (facts 5.1-5.4)."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from tests.evaluation.conftest import TARGET, scan_of
from tests.evaluation.stand_in import BRIGHT, LIVER, SPLEEN, StandIn
from vista3d.evaluation.case import Target
from vista3d.evaluation.metrics import dice
from vista3d.evaluation.official import auto_point, automatic, iterative, point
from vista3d.evaluation.official.grid import ABSENT, Blend, OfficialGrid
from vista3d.evaluation.official.lesions import decathlon_task


def only(answers):
    (answer,) = answers
    return answer


def test_windows_are_blended_as_by_monai(block):
    grid = OfficialGrid.of(scan_of(*block, StandIn()), crop=False)
    inside = [start for start in grid.starts() if sum(start) % 5]
    marks = torch.zeros(1, 1, *grid.shape)
    rng = torch.Generator().manual_seed(0)
    picture = torch.randn(grid.shape, generator=rng)
    blend = Blend(grid)
    for start in inside:
        blend.add(start, grid.window(picture.numpy(), start) * (1 + sum(start)))
    starts = iter(grid.starts())

    def predict(window):
        start = next(starts)
        return window * (1 + sum(start)) if start in inside else torch.full_like(window, ABSENT)

    wanted = sliding_window_inference(
        marks + picture, (16, 16, 16), 1, predict, overlap=0.625, mode="gaussian"
    )
    np.testing.assert_allclose(blend.logits(), wanted[0, 0].numpy(), rtol=1e-4, atol=5e-3)


def test_the_crop_comes_back_to_its_place(block):
    hu, labels = block
    hu = np.where(labels == 7, 500, -100)  # nothing else above 0: the crop is 10 voxels around
    scan = scan_of(np.pad(hu, 20, constant_values=-100), np.pad(labels, 20), StandIn())
    grid = OfficialGrid.of(scan, crop=True)
    assert grid.shape == (32, 32, 36)
    np.testing.assert_array_equal(grid.restore(grid.truth == 7), scan.labels == 7)


def test_every_class_is_thresholded_by_itself(block):
    hu, labels = block
    model = StandIn()
    targets = (TARGET, Target("spleen", SPLEEN, (8,)))
    answers = list(automatic.automatic(scan_of(hu, labels, model, targets), targets, (0,)))
    np.testing.assert_array_equal(answers[0].mask, labels == 7)
    assert not answers[1].mask.any()
    assert model.asked == [(LIVER, SPLEEN)]


def test_the_organ_of_a_decathlon_task_is_scored_without_its_lesion(block):
    hu, labels = block
    targets = (Target("liver", 1, (1,)), Target("hepatic tumor", 26, (2,)))

    class Everything(StandIn):
        def segment(self, volume, classes, **options):
            found = super().segment(volume, classes, **options)
            found.masks[26][:, :, :10] = found.masks[1][:, :, :10]
            return found

    for dataset, cut in (("Task03_Liver", True), ("Made", False)):
        scan = scan_of(hu, labels, Everything(known=(1, 26)), targets, dataset=dataset)
        first = next(iter(automatic.automatic(scan, targets, (0,))))
        assert first.mask[:, :, 10:].any()
        assert first.mask[:, :, :10].any() != cut


def test_names_of_decathlon_tasks():
    names = ("Task03", "Task07_Pancreas", "Dataset003_Liver", "Dataset003_Else", "Task3_x", "AMOS")
    assert [decathlon_task(name) for name in names] == [3, 7, 3, 0, 3, 0]


def test_one_click_is_one_for_every_window_with_the_structure(block):
    hu, labels = block
    scan = scan_of(hu, labels, StandIn())
    answer = only(point.point(scan, (TARGET,), (1,)))
    grid = OfficialGrid.of(scan, crop=True)
    holding = [s for s in grid.starts() if (grid.window(grid.truth, s) == 7).any()]
    assert answer.used == len(holding) > 20
    assert dice(answer.mask, labels == 7) == 1
    prompts = scan.points.prompts
    assert all(prompt.labels.tolist() == [1] and not prompt.novel for prompt in prompts)


def test_windows_without_the_structure_say_that_it_is_absent(block):
    hu, labels = block
    hu = hu.copy()
    hu[6:18, 6:18, 30:36] = 500  # bright, and far from every window with a click
    answer = only(point.point(scan_of(hu, labels, StandIn()), (TARGET,), (1,)))
    np.testing.assert_array_equal(answer.mask, labels == 7)


def test_the_best_of_four_is_never_worse_than_the_automatic_result(block):
    hu, labels = block
    scan = scan_of(hu, labels, StandIn(answer=lambda tokens, prompt: np.zeros_like(tokens, bool)))
    np.testing.assert_array_equal(
        only(auto_point.auto_point(scan, (TARGET,), (1,))).mask, labels == 7
    )


def test_the_truth_chooses_among_the_trials(block):
    hu, labels = block
    # The automatic branch finds nothing; clicks find everything.
    scan = scan_of(hu, labels, StandIn(threshold=0.9))
    answer = only(auto_point.auto_point(scan, (TARGET,), (1,)))
    np.testing.assert_array_equal(answer.mask, labels == 7)


def test_the_best_trial_is_kept_and_not_the_last(block):
    """Clicks find everything at first and ever less afterwards."""
    hu, labels = block
    asked = []

    def worse(tokens, prompt):
        asked.append(prompt)
        return tokens > BRIGHT if len(prompt.points) == 1 else np.zeros_like(tokens, bool)

    scan = scan_of(hu, labels, StandIn(window=48, threshold=0.9, answer=worse))
    answer = only(auto_point.auto_point(scan, (TARGET,), (1,)))
    assert asked
    np.testing.assert_array_equal(answer.mask, labels == 7)


def test_what_belongs_to_an_organ_is_clicked_with_it_whatever_a_run_evaluates(block):
    """The liver of clicks holds its tumours (facts 5.3), also where only the liver is evaluated."""
    hu, labels = block
    labels = np.where(labels == 7, 9, 0)  # all that is left of the organ is its tumour
    tumour = Target("hepatic tumor", 26, (9,))
    for others, positive in (((), False), ((tumour,), True)):
        scan = scan_of(hu, labels, StandIn(threshold=0.9))
        scan = replace(scan, case=replace(scan.case, others=others))
        list(auto_point.auto_point(scan, (TARGET,), (1,)))
        assert any((prompt.labels == 1).any() for prompt in scan.points.prompts) == positive


def test_the_lesion_is_taken_out_of_its_organ_whatever_a_run_evaluates(block):
    hu, labels = block
    labels = labels.copy()
    labels[:, :, 4:12][labels[:, :, 4:12] == 7] = 9
    tumour = Target("hepatic tumor", 26, (9,))
    model = StandIn(known=(LIVER, 26))
    scan = scan_of(hu, labels, model, dataset="Task03_Liver")
    answers = list(point.point(scan, (TARGET,), (1,)))
    assert answers[0].mask[:, :, 4:12].any()
    scan = replace(scan, case=replace(scan.case, others=(tumour,)))
    answers = list(point.point(scan, (TARGET,), (1,)))
    assert [answer.target for answer in answers] == [TARGET]
    assert not answers[0].mask[:, :, 5:11].any()


def test_what_is_too_small_for_the_models_grid_is_missed(block):
    hu, labels = block
    labels = np.zeros_like(labels)
    labels[7, 7, 7] = 7
    scan = scan_of(hu, labels, StandIn(window=16, spacing=8.0))
    answers = list(iterative.clicked(scan, (TARGET,), (1, 2)))
    assert [(a.clicks, a.used, bool(a.mask.any())) for a in answers] == [
        (1, 0, False),
        (2, 0, False),
    ]


def test_iterative_clicks_empty_slices_without_truth(block):
    hu, labels = block
    hu = hu.copy()
    hu[6:18, 6:18, 20:30] = 500  # the model goes on where the truth ends
    scan = scan_of(hu, labels, StandIn(window=48))
    answers = list(iterative.zero_shot(scan, (TARGET,), (1, 5)))
    assert dice(answers[0].mask, labels == 7) == 1
    assert not answers[0].mask[:, :, 20:].any()
    # Nothing is left to click before the tenth: the run ends.
    assert [answer.used for answer in answers] == [1, 1]
    assert all(prompt.novel for prompt in scan.points.prompts)


def test_iterative_figures_are_the_best_so_far(block):
    hu, labels = block

    def worse_each_time(tokens, prompt):
        found = tokens > BRIGHT
        found[: 20 + len(prompt.points)] = False  # the scan begins 12 voxels inside the window
        return found

    scan = scan_of(hu, labels, StandIn(window=48, answer=worse_each_time))
    budgets = (1, 2, 3, 6)
    answers = list(iterative.clicked(scan, (TARGET,), budgets))
    scores = [dice(answer.mask, labels == 7) for answer in answers]
    assert 0 < scores[0] < 1
    assert scores == [scores[0]] * 4
    assert [answer.used for answer in answers] == list(budgets)
    assert not any(prompt.novel for prompt in scan.points.prompts)


@pytest.mark.parametrize("protocol", [auto_point.auto_point, iterative.zero_shot])
def test_chance_is_the_cases_own(block, protocol):
    hu, labels = block
    rng = np.random.default_rng(0)
    noisy = hu + rng.normal(0, 300, hu.shape)
    one, two = (
        only(protocol(scan_of(noisy, labels, StandIn()), (TARGET,), (3,))).mask for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
