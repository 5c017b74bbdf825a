"""The order of numbers in memory changes the time, not the result."""

from __future__ import annotations

import copy

import pytest
import torch

from vista3d.network.blocks import instance_norm
from vista3d.network.config import NetworkConfig
from vista3d.network.layout import voxel_by_voxel
from vista3d.network.vista3d import Vista3D

SMALL = NetworkConfig(widths=(8, 16, 16), blocks=(1, 1, 1), features=16, heads=2, mlp_dim=16)


def learned(network: Vista3D, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits of both branches, and the gradients of all that they come from."""
    classes = network.forward_classes(x, torch.tensor([1, 3, 5]))[:, 0]
    points = torch.tensor([[[4.0, 5, 6], [9, 3, 2]]])
    clicks = network.point_logits(network.point_features(x), points, torch.tensor([[1, 0]]))
    logits = torch.cat([classes, clicks[0]])
    logits.square().mean().backward()
    return logits.detach(), {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def test_both_orders_give_the_same_logits_and_gradients():
    torch.manual_seed(0)
    plain = Vista3D(SMALL)
    ordered = voxel_by_voxel(copy.deepcopy(plain))
    x = torch.rand(1, 1, 16, 12, 20)
    logits, gradients = learned(plain, x)
    same, alike = learned(ordered, x)
    torch.testing.assert_close(same, logits, atol=1e-4, rtol=1e-4)
    assert alike.keys() == gradients.keys()
    scale = max(float(g.abs().max()) for g in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(alike[name], gradient, atol=1e-4 * scale, rtol=1e-3, msg=name)


def test_volumes_stay_in_the_order_of_the_kernels():
    network = voxel_by_voxel(Vista3D(SMALL))
    with torch.autocast("cpu", torch.bfloat16):  # in fp32 PyTorch has kernels of its own
        found = network.auto_features(torch.rand(1, 1, 16, 12, 20))
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert not found.is_contiguous()


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("volume", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("gradient", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("stray", [False, True])
def test_the_norm_and_its_gradients_are_those_of_each_volume(batch, volume, gradient, stray):
    """Against the definition in double precision, whatever order volume and gradient come in."""
    values = torch.randn(batch, 4, 5, 6, 7) * 3 + 1
    weight, bias, upstream = torch.randn(4), torch.randn(4), torch.randn(batch, 4, 5, 6, 7)

    x, w, b = (t.double().requires_grad_() for t in (values, weight, bias))
    mean = x.mean((2, 3, 4), keepdim=True)
    variance = x.var((2, 3, 4), unbiased=False, keepdim=True)
    wanted = (x - mean) / (variance + 1e-5).sqrt() * w[:, None, None, None]
    wanted = wanted + b[:, None, None, None]
    wanted.backward(upstream.double())

    y = values.contiguous(memory_format=volume).requires_grad_()
    v, c = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    found = instance_norm(y, v, c)
    given = upstream.contiguous(memory_format=gradient)
    if stray and batch == 1:  # as behind `squeeze`: the stride of an axis with one entry is free
        given = given.as_strided(given.shape, (4, *given.stride()[1:]))
    found.backward(given)
    torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-4)
    for mine, theirs in ((y, x), (v, w), (c, b)):
        assert mine.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(mine.grad.double(), theirs.grad, atol=1e-3, rtol=1e-3)
