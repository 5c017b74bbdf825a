from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vista3d.network.config import NetworkConfig
from vista3d.training.augmentation import Patch
from vista3d.training.automatic import prompt_losses
from vista3d.training.prepared import Prepared
from vista3d.training.prompts import ClassPrompts
from vista3d.training.run import PatchStream, Phase, Run, TrainConfig

TINY = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8)
CONFIG = TrainConfig(
    parts=("encoder", "auto"),
    point_share=0.0,
    network=TINY,
    phases=(Phase(32, 6),),
    warmup=2,
    checkpoint_every=3,
)


def _losses(run: Run, cases: list[Prepared], upto: int, loss: int = 0) -> list[float]:
    losses = []
    for step, example in PatchStream(cases, run.config, run.step):
        if step == upto:
            break
        run.step = step
        losses.append(run.train_step(example)[loss])
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
    assert config.rate(0) < config.rate(9) == pytest.approx(1)
    assert config.rate(149) < 0.001


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


def test_a_rival_is_taught_only_where_it_is_known_to_be_absent(torso: Prepared, tmp_path: Path):
    run = Run(CONFIG, tmp_path)
    hu, labels = torch.zeros(32, 32, 32), torch.zeros(32, 32, 32, dtype=torch.int64)
    labels[:16] = 1
    prompts = ClassPrompts(torch.tensor([1, 7]), present=1, rivals=1)
    nowhere = Patch(hu, labels, frozenset({1}), torch.zeros(32, 32, 32, dtype=bool), frozenset({7}))
    losses, _ = prompt_losses(run.model, nowhere, prompts)
    assert losses[1] < 1e-3
    known = replace(nowhere, decided=labels > 0)
    losses, _ = prompt_losses(run.model, known, prompts)
    assert losses[1] > 0.1


CLICKS = replace(CONFIG, parts=("points",), point_share=1.0, point_patch=32, targets=2, rounds=2)


def test_clicks_are_learned(torso: Prepared, tmp_path: Path):
    config = replace(CLICKS, phases=(Phase(32, 150),), point_rate=5e-3, warmup=5)
    losses = _losses(Run(config, tmp_path), [torso], 150, loss=2)
    assert np.nanmean(losses[-30:]) < 0.93 * np.nanmean(losses[:30])


def test_a_killed_run_of_clicks_resumes_to_the_same_losses(torso: Prepared, tmp_path: Path):
    expected = _losses(Run(CLICKS, tmp_path / "whole"), [torso], 6, loss=2)
    first = Run(CLICKS, tmp_path / "cut")
    before = _losses(first, [torso], 3, loss=2)
    first.save()
    after = _losses(Run(CLICKS, tmp_path / "cut"), [torso], 6, loss=2)
    np.testing.assert_allclose(before + after, expected, atol=1e-6)
