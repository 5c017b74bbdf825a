"""Muon: kernels move alike in all directions, all else as Adam moves it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vista3d.training.muon import ADAM_SIZE, Muon, orthogonalised

SETTINGS = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.0}


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_directions_stay_and_their_sizes_become_alike(rows: int, columns: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, rows, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(columns, columns, generator=generator))
    rank = min(rows, columns)
    sizes = torch.linspace(0.2, 5.0, rank)
    matrix = left[:, :rank] @ torch.diag(sizes) @ right[:, :rank].t()
    found = left[:, :rank].t() @ orthogonalised(matrix) @ right[:, :rank]
    off = found - torch.diag(found.diagonal())
    assert off.abs().max() < 1e-3
    assert found.diagonal().min() > 0.3
    assert found.diagonal().max() < 1.3


def test_a_kernel_moves_as_far_as_adam_would_move_it():
    kernel = torch.nn.Parameter(torch.zeros(16, 8, 3, 3, 3))
    kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0))
    Muon([kernel], **SETTINGS).step()
    moved = kernel.detach().square().mean().sqrt().item()
    # Of 16 x 216, 16 singular values of about 1 in each.
    assert moved == pytest.approx(SETTINGS["lr"] * ADAM_SIZE, rel=0.25)
    assert math.isfinite(moved)


def test_the_scale_of_the_gradient_does_not_count():
    kernels = [torch.nn.Parameter(torch.zeros(6, 4, 3, 3, 3)) for _ in range(2)]
    gradient = torch.randn(6, 4, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    kernels[0].grad, kernels[1].grad = gradient, 1e-3 * gradient
    Muon(kernels, **SETTINGS).step()
    torch.testing.assert_close(kernels[0], kernels[1], rtol=1e-3, atol=1e-6)


def test_biases_move_as_with_adam():
    ours, theirs = (torch.nn.Parameter(torch.ones(7)) for _ in range(2))
    decayed = {**SETTINGS, "weight_decay": 0.1}
    first, second = Muon([ours], **decayed), torch.optim.AdamW([theirs], **decayed)
    generator = torch.Generator().manual_seed(2)
    for _ in range(5):
        gradient = torch.randn(7, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        first.step()
        second.step()
    torch.testing.assert_close(ours, theirs)


def test_what_has_no_gradient_stays_and_a_zero_gradient_is_no_nan():
    still, flat = (torch.nn.Parameter(torch.ones(3, 3)) for _ in range(2))
    flat.grad = torch.zeros(3, 3)
    Muon([still, flat], **{**SETTINGS, "weight_decay": 0.1}).step()
    assert (still == 1).all()
    torch.testing.assert_close(flat.detach(), torch.full((3, 3), 1 - 1e-3))
