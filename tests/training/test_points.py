"""Rounds of clicks with one encoder pass give the gradients of rounds that run everything."""

import contextlib

import numpy as np
import torch

from vista3d.network.config import NetworkConfig
from vista3d.network.vista3d import Vista3D
from vista3d.training import points
from vista3d.training.points import click_rounds, heed_loss, mask_loss
from vista3d.training.sampler import ClickBatch, Clicks, Target, first_clicks, next_clicks

TINY = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8)


def test_one_pass_equals_many(monkeypatch):
    # In fp32: autocast rounds the two orders of summation differently.
    monkeypatch.setattr(points, "mixed", lambda _: contextlib.nullcontext())
    torch.manual_seed(0)
    model = Vista3D(TINY)
    x = torch.rand(1, 1, 32, 32, 32)
    mask = torch.zeros(32, 32, 32, dtype=torch.bool)
    mask[8:20, 8:20, 8:20] = True
    batch = ClickBatch.of([Target(mask, novel=False), Target(~mask, novel=True)], x.device)
    feature = model.decode_point(model.encode(x))
    leaf = feature.detach().requires_grad_()
    click_rounds(model, leaf, batch, 3, np.random.default_rng(1))
    feature.backward(leaf.grad)
    fast = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    model.zero_grad()
    rng = np.random.default_rng(1)
    clicks = first_clicks(batch, rng)
    novel = torch.tensor([1, TINY.last_supported + 1])
    for number in range(3):
        logits = model.point_logits(model.point_features(x), clicks.points, clicks.labels, novel)
        (mask_loss(logits, batch.masks).mean() / 3).backward()
        if number < 2:
            clicks = next_clicks(clicks, batch, logits.detach(), rng)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(fast[name], parameter.grad, atol=1e-5, rtol=1e-3)


def test_what_is_wrong_at_a_click_costs_and_what_is_wrong_far_from_it_does_not():
    masks = torch.zeros(2, 16, 16, 16, dtype=torch.bool)
    masks[:, 8:] = True
    right = torch.where(masks, 9.0, -9.0)[:, None]
    right[1, 0, 4, 4, 4] = 9.0  # the second object's one wrong voxel
    at, off = torch.tensor([4.0, 4, 4]), torch.tensor([12.0, 12, 12])
    clicks = Clicks(at.expand(2, 1, 3), torch.tensor([[0], [0]]))
    cost = heed_loss(right, masks, clicks)
    assert cost[0] < 1e-3
    assert cost[1] > 0.1
    elsewhere = Clicks(off.expand(2, 1, 3), torch.tensor([[1], [1]]))
    assert heed_loss(right, masks, elsewhere).max() < 1e-3
    # Padding is not a click, whatever its place, and no click at all costs nothing.
    padded = elsewhere.add(at.expand(2, 3), torch.tensor([-1, -1]))
    assert heed_loss(right, masks, padded).equal(heed_loss(right, masks, elsewhere))
    none = Clicks(at.expand(2, 1, 3), torch.tensor([[-1], [-1]]))
    assert heed_loss(right, masks, none).equal(torch.zeros(2))


def test_without_gradients_the_rounds_are_only_measured():
    torch.manual_seed(0)
    model = Vista3D(TINY)
    mask = torch.zeros(32, 32, 32, dtype=torch.bool)
    mask[8:20, 8:20, 8:20] = True
    batch = ClickBatch.of([Target(mask, novel=False)], torch.device("cpu"))
    with torch.no_grad():
        done = click_rounds(model, torch.rand(1, 8, 32, 32, 32), batch, 4, np.random.default_rng(1))
    assert len(done.dice) == len(done.losses) == 4
    assert done.mask.shape == (32, 32, 32)
    found = float(2 * (done.mask & mask).sum() / (done.mask.sum() + mask.sum()))
    assert abs(found - done.dice[-1]) < 1e-6
    assert all(p.grad is None for p in model.parameters())


def test_mask_loss_has_gradient_on_an_empty_mask():
    logits = torch.zeros(1, 1, 4, 4, 4, requires_grad=True)
    mask_loss(logits, torch.zeros(1, 4, 4, 4, dtype=torch.bool)).sum().backward()
    assert (logits.grad > 0).all()
