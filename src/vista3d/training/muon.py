"""Muon: steps of equal size along every direction of a kernel (Jordan et al. 2024).

AdamW scales each number by itself; a kernel's gradient is dominated by a few directions, and the
others hardly move. Muon makes the singular values of the averaged gradient alike. `torch.optim`
has it for matrices only; kernels of convolutions have five axes. On the corpus, from `mini`, the
same 150 patches, 3e-4: mean loss of the first, second and third 50 steps 0.726, 0.702, 0.584 with
AdamW and 0.687, 0.676, 0.569 with Muon; 1% of a step's time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95

POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration, steepest at 0; five rounds bring singular values to 0.7..1.2."""

ROUNDS = 5

ADAM_SIZE = 0.2
"""Root mean square of an AdamW update (Liu et al. 2025): with it both take the same rates."""


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two axes and more, Adam for the others; decoupled weight decay.

    Args:
        params: parameters, or groups of them.
        lr: learning rate, as AdamW would have it.
        betas: of Adam.
        weight_decay: times the learning rate, taken off every parameter.
    """

    def __init__(
        self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if parameter.ndim > 1:
                    update = _levelled(parameter.grad, state)
                else:
                    update = _adam(parameter.grad, state, group["betas"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(update, alpha=group["lr"])


def _levelled(gradient: Tensor, state: dict[str, Any]) -> Tensor:
    """The update of a kernel [O, ...]: its averaged gradient with singular values alike."""
    average: Tensor = state.setdefault("average", torch.zeros_like(gradient))
    average.lerp_(gradient, 1 - MOMENTUM)
    ahead = gradient.lerp(average, MOMENTUM).reshape(len(gradient), -1)
    size = ADAM_SIZE * math.sqrt(max(ahead.shape))
    return (size * orthogonalised(ahead)).reshape(gradient.shape)


def orthogonalised(matrix: Tensor) -> Tensor:
    """U V^T, about, of a matrix U S V^T [N, M]: Newton-Schulz iteration."""
    a, b, c = POLYNOMIAL
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.t() if tall else matrix
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(ROUNDS):
        square = x @ x.t()
        x = a * x + (b * square + c * square @ square) @ x
    return x.t() if tall else x


def _adam(gradient: Tensor, state: dict[str, Any], betas: tuple[float, float]) -> Tensor:
    """The update of a bias or a norm."""
    if not state:
        state.update(steps=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
    state["steps"] += 1
    state["mean"].lerp_(gradient, 1 - betas[0])
    state["square"].mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    mean: Tensor = state["mean"] / (1 - betas[0] ** state["steps"])
    square: Tensor = state["square"] / (1 - betas[1] ** state["steps"])
    return mean / square.sqrt().add_(1e-8)
