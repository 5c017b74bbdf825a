"""Gradients of both branches, against a network whose norms are written out.

torch 2.13 on a CPU returns a wrong gradient of the instance norm of one sample when the incoming
gradient is not contiguous; nothing but a comparison shows it.
"""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d.network.config import NetworkConfig
from vista3d.network.vista3d import Vista3D

TINY = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8)


def _classes(model: Vista3D, x: Tensor) -> Tensor:
    table = model.class_table(torch.tensor([1, 3]))
    return table @ model.auto_features(x).flatten(2)[0]


def _clicks(model: Vista3D, x: Tensor) -> Tensor:
    points = torch.tensor([[[3.0, 4.0, 5.0]], [[20.0, 9.0, 30.0]]])
    return model.point_logits(model.point_features(x), points, torch.tensor([[1], [0]]))


def _plain_norm(x: Tensor, _mean: object = None, _var: object = None, weight: Tensor | None = None,
                bias: Tensor | None = None, *_: object, **__: object) -> Tensor:  # fmt: skip
    axes = tuple(range(2, x.ndim))
    y = (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True, unbiased=False) + 1e-5).sqrt()
    shape = (1, -1, *(1 for _ in axes))
    return y if weight is None else y * weight.view(shape) + bias.view(shape)


def _gradients(forward, weighting: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = Vista3D(TINY).double()
    torch.manual_seed(1)
    (forward(model, torch.rand(1, 1, 32, 32, 32).double()).flatten() * weighting).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("forward", [_classes, _clicks])
def test_gradients_are_those_of_plain_norms(forward, monkeypatch):
    weighting = torch.randn(2 * 32**3, dtype=torch.float64) / 32**3
    found = _gradients(forward, weighting)
    monkeypatch.setattr(F, "instance_norm", _plain_norm)
    monkeypatch.setattr(F, "batch_norm", lambda x, *_, **__: _plain_norm(x.t()[None])[0].t())
    expected = _gradients(forward, weighting)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = float(gradient.abs().max()) + 1e-9
        # Click positions are coded in float32: the rounding of both runs is the same.
        assert float((found[name] - gradient).abs().max()) < 1e-4 * scale + 1e-9, name
