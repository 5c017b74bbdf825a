from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vista3d.network.config import NetworkConfig
from vista3d.training.automatic import PatchStream, Phase, Run, TrainConfig
from vista3d.training.prepared import Prepared

TINY = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8)
CONFIG = TrainConfig(network=TINY, phases=(Phase(32, 6),), warmup=2, checkpoint_every=3)


def _losses(run: Run, cases: list[Prepared], upto: int) -> list[float]:
    losses = []
    for step, patch in PatchStream(cases, run.config, run.step):
        if step == upto:
            break
        run.step = step
        losses.append(run.train_step(patch)[0])
        run.step = step + 1
    return losses


def test_a_killed_run_resumes_to_the_same_losses(torso: Prepared, tmp_path: Path):
    whole = Run(CONFIG, tmp_path / "whole")
    expected = _losses(whole, [torso], 6)
    first = Run(CONFIG, tmp_path / "cut")
    before = _losses(first, [torso], 3)
    first.save()
    second = Run(CONFIG, tmp_path / "cut")
    assert second.step == 3
    after = _losses(second, [torso], 6)
    np.testing.assert_allclose(before + after, expected, atol=1e-6)
    assert all(
        torch.allclose(second.average[name], value, atol=1e-6)
        for name, value in whole.average.items()
    )


def test_training_lowers_the_loss(torso: Prepared, tmp_path: Path):
    config = replace(CONFIG, phases=(Phase(32, 60),), learning_rate=5e-3, warmup=5)
    losses = _losses(Run(config, tmp_path), [torso], 60)
    assert np.nanmean(losses[-15:]) < 0.8 * np.nanmean(losses[:15])


def test_schedule():
    config = replace(CONFIG, phases=(Phase(64, 100), Phase(96, 50)), warmup=10)
    assert config.steps == 150
    assert (config.patch(99), config.patch(100), config.patch(149)) == (64, 96, 96)
    assert config.rate(0) < config.rate(9) == pytest.approx(config.learning_rate)
    assert config.rate(149) < 0.001 * config.learning_rate


def test_the_point_branch_is_left_alone(torso: Prepared, tmp_path: Path):
    run = Run(CONFIG, tmp_path)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    _losses(run, [torso], 2)
    for name, value in run.model.state_dict().items():
        frozen = name.startswith(("point_head.", "image_encoder.up_layers."))
        if frozen:
            assert torch.equal(value, before[name]), name
    changed = "image_encoder.encoder.conv_init.weight"
    assert not torch.equal(run.model.state_dict()[changed], before[changed])
