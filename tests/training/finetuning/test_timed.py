from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.recipes import AUTO, fabric, recipe
from vista3d.training.data.prepared import Prepared
from vista3d.training.finetuning.timed import TimedRun
from vista3d.training.stage_run import StageRun


def test_the_rate_falls_with_time_or_steps(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(StageRun, "train_step", lambda self, examples: {})
    stage = replace(AUTO, steps=100, warmup=0)
    run = TimedRun(recipe(stage), 0, tmp_path, fabric(), 100)
    now = [0.0]
    run.limit(60.0, lambda: now[0])
    assert run._rate() == 1.0
    now[0] = 30.0
    assert run._rate() == pytest.approx(0.5)
    run.step = 75  # a fast machine
    assert run._rate() == pytest.approx(stage.rate(75, 100))
    run.train_step([])
    assert not run.done
    assert not run._late(None)
    now[0] = 61.0
    assert run._rate() == pytest.approx(0.0)
    # Not before the step that was under way has ended: it is validated as the last one.
    assert not run.done
    run.train_step([])
    assert run.done
    assert run._late(None)


def test_the_last_step_of_a_run_out_of_time_is_validated(
    torso: Prepared, tmp_path: Path, monkeypatch
):
    stage = replace(AUTO, steps=100, validate_every=50)
    run = TimedRun(recipe(stage), 0, tmp_path, fabric(), 100)
    ticks = iter(range(1000))
    run.limit(8.0, lambda: next(ticks))
    validated = []
    monkeypatch.setattr(run, "_validate", lambda held_out: validated.append(run.step) or {})
    run.fit([torso], [torso])
    assert 0 < run.step < 50
    assert validated == [run.step]


def test_a_stopped_run_knows_what_time_it_has_spent(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(StageRun, "train_step", lambda self, examples: {})
    stage = replace(AUTO, steps=100, warmup=0)

    def begun(now: list[float]) -> TimedRun:
        run = TimedRun(recipe(stage), 0, tmp_path, fabric(), 100)
        run.limit(60.0, lambda: now[0])
        return run

    now = [1000.0]
    run = begun(now)
    now[0] += 30
    run.save()
    again = [5.0]
    run = begun(again)
    assert run._rate() == pytest.approx(0.5)
    again[0] += 31
    run.train_step([])
    run.save()
    assert begun([0.0]).done
