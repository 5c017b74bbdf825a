from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.recipes import AUTO, fabric, recipe
from vista3d.training.finetuning.timed import TimedRun


def test_the_rate_falls_with_time_or_steps(tmp_path: Path):
    stage = replace(AUTO, steps=100, warmup=0)
    run = TimedRun(recipe(stage), 0, tmp_path, fabric(), 100)
    now = [0.0]
    run.limit(60.0, lambda: now[0])
    assert run._rate() == 1.0
    now[0] = 30.0
    assert run._rate() == pytest.approx(0.5)
    run.step = 75  # a fast machine
    assert run._rate() == pytest.approx(stage.rate(75, 100))
    assert not run._late(None)
    now[0] = 61.0
    assert run._rate() == pytest.approx(0.0)
    assert run._late(None)
