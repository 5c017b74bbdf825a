from dataclasses import replace
from pathlib import Path

import torch

from tests.training.recipes import AUTO, start
from vista3d.training.best import Best

STAGE = replace(AUTO, steps=100, validate_every=10)


def test_the_best_weights_are_kept(tmp_path: Path):
    run = start(STAGE, tmp_path)
    best = Best(run, patience=2)
    name = next(iter(run.average))
    for step, (score, ends) in enumerate(
        [(0.3, False), (0.5, False), (0.5005, False), (0.4, True)], start=1
    ):
        run.step = 10 * step
        run.average[name] = torch.full_like(run.average[name], step)
        assert best({"validation": score}) is ends
    assert best.step == 20
    assert (best.weights()[name] == 2).all()
    # A run that is started again knows that it had ended.
    assert Best(run, patience=2).stalled
    assert not Best(run, patience=3).stalled


def test_while_nothing_is_found_the_last_weights_count(tmp_path: Path):
    run = start(STAGE, tmp_path)
    best = Best(run, patience=2)
    for run.step in (10, 20, 30, 40):
        assert not best({"validation": 0.0})
    assert best.weights() is run.average
    # What was found once is kept, and the wait begins.
    assert not best({"validation": 0.1})
    run.step = 60
    assert best({"validation": 0.0})
    assert best.step == 40


def test_without_validation_the_last_weights_count(tmp_path: Path):
    run = start(STAGE, tmp_path)
    assert Best(run, patience=2).weights() is run.average
