"""Loss of the point branch over several rounds of clicks on one patch (paper section 3.4, stage 1).

The released training runs the whole network once per round. Only the prompt path depends on the
clicks, so here the encoder and the decoder run once: each round's gradient stops at the image
tokens, where they add up, and goes on through the network in one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d.network.vista3d import Vista3D
from vista3d.training.clicks import ClickBatch, first_clicks, next_clicks
from vista3d.training.losses import SMOOTH
from vista3d.training.precision import mixed


@dataclass(frozen=True)
class PointGradient:
    """What the rounds leave: `tokens.backward(gradient)` completes them.

    Attributes:
        tokens: [1, M, F] image tokens with their graph.
        gradient: the same shape, summed over the rounds.
        losses: mean loss of each round.
        dice: mean Dice of the last round's masks.
    """

    tokens: Tensor
    gradient: Tensor
    losses: list[float]
    dice: float


def mask_loss(logits: Tensor, masks: Tensor, balance: float = 0.0) -> Tensor:
    """Loss of each object [B]: (1 - soft Dice with squared denominator) + cross-entropy.

    Args:
        logits: [B, 1, H, W, D] float32.
        masks: [B, H, W, D] bool.
        balance: 0 for the mean over voxels, as released; 1 gives the object and its surroundings
            equal weight. From scratch, an object of 300 voxels in 48^3 is not worth a positive
            logit to the plain mean: after 250 steps every mask was empty.
    """
    values, truth = logits.flatten(1), masks.flatten(1).to(logits.dtype)
    p = torch.sigmoid(values)
    overlap = (p * truth).sum(1)
    dice = 1 - (2 * overlap + SMOOTH) / (p.square().sum(1) + truth.sum(1) + SMOOTH)
    size = truth.sum(1)
    rest = truth.shape[1] - size
    own = (F.softplus(-values) * truth).sum(1) / size.clamp_min(1)
    other = (F.softplus(values) * (1 - truth)).sum(1) / rest.clamp_min(1)
    a, b = size ** (1 - balance), rest ** (1 - balance)
    return dice + (a * own + b * other) / (a + b)


def click_rounds(
    model: Vista3D,
    skips: list[Tensor],
    batch: ClickBatch,
    rounds: int,
    rng: np.random.Generator,
    balance: float = 0.0,
) -> PointGradient:
    """Click, compare, click again; gradients of the point head are accumulated at once.

    Args:
        model: the network.
        skips: of its encoder, for one window.
        batch: the objects.
        rounds: clicks rounds (5 in the released training).
        rng: source of the clicks.
        balance: see `mask_loss`.
    """
    device = skips[0].device
    head = model.point_head
    with mixed(device):
        image = head.image_tokens(model.decode_point(skips))
    leaf = replace(image, tokens=image.tokens.detach().requires_grad_())
    novel = torch.where(batch.novel, model.config.last_supported + 1, 1)
    shape = batch.masks.shape
    size = (shape[1], shape[2], shape[3])
    clicks, losses = first_clicks(batch, rng), []
    for number in range(rounds):
        with mixed(device):
            tokens = head.prompt_tokens(clicks.points, clicks.labels, novel, size)
            logits = head.decode(leaf, tokens).float()
        loss = mask_loss(logits, batch.masks, balance).mean()
        (loss / rounds).backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        if number + 1 < rounds:
            clicks = next_clicks(clicks, batch, logits.detach(), rng)
    gradient = leaf.tokens.grad
    assert gradient is not None
    return PointGradient(image.tokens, gradient, losses, _dice(logits.detach(), batch.masks))


def _dice(logits: Tensor, masks: Tensor) -> float:
    found = logits[:, 0] > 0
    overlap = (found & masks).flatten(1).sum(1)
    return float((2 * overlap / (found.flatten(1).sum(1) + masks.flatten(1).sum(1))).mean())
