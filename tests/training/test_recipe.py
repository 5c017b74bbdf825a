"""The published numbers, and what a stage makes of them."""

import math
from dataclasses import replace

import pytest

from tests.training.recipes import AUTO
from vista3d.errors import UsageError
from vista3d.training.recipe import MINI, PAPER, AutoStage, PointStage, recipe


def test_the_paper_preset_has_the_published_values():
    """Facts 3.1, read beside the table there."""
    one, two, three, four = PAPER.stages
    assert [stage.epochs for stage in PAPER.stages] == [300, 300, 200, 200]
    for stage in PAPER.stages:
        assert (stage.learning_rate, stage.weight_decay) == (2e-5, 1e-5)
        assert (stage.patch, stage.batch, stage.warmup, stage.betas) == (128, 1, 0, (0.9, 0.999))
        assert stage.clip == math.inf
    for stage in (one, two):
        assert isinstance(stage, PointStage)
        assert stage.parts == ("encoder", "points")
        assert (stage.targets, stage.rounds, stage.window, stage.views) == (4, 5, 128, 1)
    for stage in (three, four):
        assert isinstance(stage, AutoStage)
        assert stage.parts == ("auto",)
        assert (stage.max_present, stage.max_absent) == (32, 4)
    assert (one.supervoxels, two.supervoxels) == (True, False)
    assert [stage.sampling for stage in PAPER.stages] == ["scans", "datasets", "scans", "datasets"]
    assert (PAPER.spacing, PAPER.segments) == (1.5, 100)


def test_epochs_become_steps():
    stage = PAPER.stages[0]
    assert stage.length(100) == 300 * 100 * 2
    assert stage.length(100, processes=8) == 300 * 100 * 2 / 8
    assert replace(stage, epochs=0, steps=7).length(100, 8) == 7


def test_schedule():
    stage = replace(AUTO, warmup=10)
    assert stage.rate(0, 150) < stage.rate(9, 150) == pytest.approx(1)
    assert stage.rate(10, 150) == pytest.approx(1)
    assert stage.rate(80, 150) == pytest.approx(0.5)
    assert stage.rate(149, 150) < 0.001


def test_a_trial_keeps_every_stage():
    short = MINI.shortened(0.001)
    assert [stage.steps for stage in short.stages] == [5, 2, 2, 2, 2]
    assert [stage.name for stage in short.stages] == [stage.name for stage in MINI.stages]
    assert isinstance(short.stages[3], PointStage)
    assert short.stages[3].lead_in == 1


def test_unknown_recipe():
    with pytest.raises(UsageError, match="paper, mini"):
        recipe("maxi")
