"""What a fine-tuning stage trains, and how fast."""

from __future__ import annotations

import pytest

from vista3d.network.config import NetworkConfig
from vista3d.network.vista3d import Vista3D
from vista3d.training.finetuning.stages import RATES, auto_stage
from vista3d.training.learner import trained

TINY = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8)


@pytest.mark.parametrize(
    ("asked", "rate", "head"),
    [(None, RATES["full"].rate, RATES["full"].head), (1e-3, 1e-3, 1e-3)],
)
def test_the_class_head_learns_faster_than_what_is_known_unless_a_rate_is_given(asked, rate, head):
    model = Vista3D(TINY)
    groups = trained(model, auto_stage("full", 32, 100, asked))
    peaks = {id(parameter): group["peak"] for group in groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        points = name.startswith(("point_head.", "image_encoder.up_layers."))
        expected = None if points else head if name.startswith("class_head.") else rate
        assert peaks.get(id(parameter)) == expected, name
        assert parameter.requires_grad == (not points)
