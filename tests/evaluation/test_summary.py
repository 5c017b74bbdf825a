"""Figures from rows; official ones against MONAI's `compute_dice` on the same masks."""

import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from monai.metrics import compute_dice

from vista3d.evaluation.comparison import differences
from vista3d.evaluation.metrics import Score, intervals, score
from vista3d.evaluation.row import Row
from vista3d.evaluation.summary import ALL, summarise
from vista3d.volume import Geometry

GRID = Geometry((4, 3, 5), np.eye(4))


def row(case: str, structure: str, made: Score, clicks: int = 0, used: int = 0) -> Row:
    return Row("set", case, case, structure, None, clicks, used, made)


def plain(dice: float) -> Score:
    return Score(dice, dice, 1.0, 10.0, 10.0)


def masks(truth: bool, found: bool) -> Score:
    whole = np.ones(GRID.shape, bool)
    return score(whole & found, whole & truth, GRID)


label_maps = st.lists(
    st.tuples(*[arrays.arrays(np.uint8, GRID.shape, elements=st.integers(0, 3))] * 2),
    min_size=1, max_size=3,
)  # fmt: skip


@given(label_maps)
@settings(max_examples=20, deadline=None)
def test_official_figures_are_the_released_scripts(scans):
    """Dice by `compute_dice` with ignore_empty, scans without a class dropped, mean over scans and
    then over classes (facts 5). The intervals are not looked at."""
    rows, wanted = [], np.full((len(scans), 3), np.nan)
    for number, (truth, found) in enumerate(scans):
        for value in (1, 2, 3):
            a, b = found == value, truth == value
            rows.append(row(f"c{number}", f"s{value}", score(a, b, GRID)))
            one = compute_dice(
                torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None],
                include_background=False, ignore_empty=True,
            )  # fmt: skip
            wanted[number, value - 1] = float(one)
    with mock.patch.object(intervals, "RESAMPLES", 2):
        lines = {line.structure: line for line in summarise(rows, official=True)}
    means = [np.nanmean(c) if not np.isnan(c).all() else np.nan for c in wanted.T]
    for value, mean in enumerate(means, 1):
        assert lines[f"s{value}"].dice.value == pytest.approx(mean, nan_ok=True, abs=1e-6)
    whole = np.nanmean(means) if not np.isnan(means).all() else np.nan
    assert lines[ALL].dice.value == pytest.approx(whole, nan_ok=True, abs=1e-6)


@pytest.mark.parametrize(("official", "dice"), [(False, 0.5), (True, 1.0)])
def test_false_positives_cost_unless_the_released_rules_are_asked_for(official, dice):
    rows = [row("a", "liver", masks(True, True)), row("b", "liver", masks(False, True))]
    line = summarise(rows, official=official)[1]
    assert line.dice.value == dice
    assert (line.scans, line.absent, line.false_positives, line.missed) == (1, 1, 1, 0)


def test_true_negatives_lift_no_score():
    rows = [row("a", "liver", plain(0.6)), row("b", "liver", masks(False, False))]
    line = summarise(rows, official=False)[1]
    assert line.dice.value == pytest.approx(0.6)
    assert (line.absent, line.false_positives) == (1, 0)
    assert line.volume_error_ml.value == 0


def test_missed_structures_count():
    rows = [row("a", "liver", masks(True, False)), row("b", "liver", plain(1.0))]
    line = summarise(rows, official=False)[1]
    assert line.missed == 1
    assert line.dice.value == 0.5
    assert line.volume_error.value == pytest.approx(-0.5)
    assert line.hausdorff95_mm.value == math.inf


def test_budgets_are_apart():
    rows = [row("a", "liver", plain(d), n, min(n, 2)) for n, d in ((1, 0.4), (2, 0.6), (5, 0.6))]
    lines = [line for line in summarise(rows, official=False) if line.structure == ALL]
    assert [(x.clicks, x.used, x.dice.value) for x in lines] == [
        (1, 1, 0.4), (2, 2, 0.6), (5, 2, 0.6),
    ]  # fmt: skip


def test_differences_are_paired():
    """Scans differ by 0.5, runs by 0.02: two means would not tell them apart, pairs do."""
    scores = np.linspace(0.3, 0.8, 10)
    one = [row(f"c{n}", "liver", plain(d)) for n, d in enumerate(scores)]
    two = [row(f"c{n}", "liver", plain(d + 0.02)) for n, d in enumerate(scores)]
    two.append(row("only here", "liver", plain(0.1)))
    whole, liver = differences(two, one)
    assert (whole.structure, liver.structure) == (ALL, "liver")
    assert whole.pairs == 10
    assert whole.dice.value == pytest.approx(0.02)
    assert whole.dice.low > 0.019


def test_a_false_positive_that_is_gone_is_a_gain():
    """Nothing there: the tables count what is found as 0, and what is not found not at all."""
    wrong, right = masks(truth=False, found=True), masks(truth=False, found=False)
    one = [row("a", "liver", plain(0.8)), row("b", "liver", wrong), row("c", "liver", right)]
    two = [row("a", "liver", plain(0.9)), row("b", "liver", right), row("c", "liver", right)]
    whole, _ = differences(two, one)
    assert whole.pairs == 2
    assert whole.dice.value == pytest.approx((0.1 + 1.0) / 2)
    whole, _ = differences(two, one, official=True)
    assert whole.pairs == 1
    assert whole.dice.value == pytest.approx(0.1)


def test_clicks_count_where_dice_counts():
    """Ten scans of which eight do not show the structure are not clicked, and say nothing."""
    rows = [row(f"c{n}", "liver", plain(0.9), 5, 5) for n in range(2)]
    rows += [row(f"d{n}", "liver", masks(False, False), 5, 0) for n in range(8)]
    rows += [row("c0", "spleen", plain(0.5), 5, 1)]
    lines = {line.structure: line for line in summarise(rows, official=False)}
    assert lines["liver"].used == 5
    assert lines[ALL].used == 3  # mean of the structures, as Dice
    (_, none) = summarise([row("d", "liver", masks(False, False), 5, 0)], official=False)
    assert none.used == 0
