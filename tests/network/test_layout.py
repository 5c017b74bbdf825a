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
def test_the_norm_is_that_of_each_volume(batch):
    x = torch.randn(batch, 4, 5, 6, 7) * 3 + 1
    weight, bias = torch.randn(4), torch.randn(4)
    wanted = torch.nn.functional.instance_norm(x, weight=weight, bias=bias)
    ordered = x.contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(instance_norm(ordered, weight, bias), wanted, atol=1e-5, rtol=1e-5)
