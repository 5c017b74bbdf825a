"""Loss of the point branch over several rounds of clicks on one patch (paper section 3.4, stage 1).

The released training runs the whole network once per round. Only the prompt path depends on the
clicks, so here the encoder and the decoder run once: each round's gradient stops at the image
tokens, where they add up, and goes on to the decoder's feature in one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vista3d.network.vista3d import Vista3D
from vista3d.training.losses import SMOOTH
from vista3d.training.precision import mixed
from vista3d.training.sampler import ClickBatch, Clicks, first_clicks, next_clicks

HEARD = 1.5
"""Standard deviation, in voxels, of the surroundings that a click speaks for."""


@dataclass(frozen=True)
class Rounds:
    """What rounds of clicks on one window came to.

    Attributes:
        losses: mean loss of each round.
        dice: mean Dice of each round's masks.
        mask: [H, W, D] bool, of the first object after the last round.
    """

    losses: list[float]
    dice: list[float]
    mask: Tensor


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


def heed_loss(logits: Tensor, masks: Tensor, clicks: Clicks) -> Tensor:
    """Mean cross-entropy of each object [B] around its clicks: by the distance to the nearest one.

    To `mask_loss`, the voxels around a click are 1 in 1000, so nothing teaches that a click is
    heard where it falls: `mini` trained without this left 34% of the newest clicks on the wrong
    side of its mask.

    Args:
        logits: [B, 1, H, W, D] float32.
        masks: [B, H, W, D] bool.
        clicks: what the network was told.
    """
    axes = [torch.arange(size, device=logits.device) for size in masks.shape[1:]]
    near = torch.full(masks.shape, torch.inf, device=logits.device)
    for point, label in zip(clicks.points.unbind(1), clicks.labels.unbind(1), strict=True):
        i, j, k = (
            (axis - at[:, None]).square() for axis, at in zip(axes, point.unbind(1), strict=True)
        )
        distance = i[:, :, None, None] + j[:, None, :, None] + k[:, None, None, :]
        real = (label >= 0)[:, None, None, None]
        near = torch.minimum(near, distance.masked_fill(~real, torch.inf))
    weight = torch.exp(-near / (2 * HEARD**2)).flatten(1)
    values, truth = logits.flatten(1), masks.flatten(1)
    wrong = F.softplus(torch.where(truth, -values, values))
    return (weight * wrong).sum(1) / weight.sum(1).clamp_min(1)


def click_rounds(
    model: Vista3D,
    feature: Tensor,
    batch: ClickBatch,
    rounds: int,
    rng: np.random.Generator,
    *,
    balance: float = 0.0,
    heed: float = 0.0,
    scale: float = 1.0,
) -> Rounds:
    """Click, compare, click again, and add up the gradients of all rounds.

    Args:
        model: the network.
        feature: [1, F, H, W, D], of its point decoder; its gradient is accumulated where it
            requires one.
        batch: the objects, in a window of that size.
        rounds: of clicks (5 in the released training).
        rng: source of the clicks.
        balance: see `mask_loss`.
        heed: weight of `heed_loss`; 0 as released.
        scale: what the mean loss over the rounds is multiplied with. Under `no_grad` the rounds
            are only measured.
    """
    learning = torch.is_grad_enabled()
    head, device = model.point_head, feature.device
    with mixed(device):
        image = head.image_tokens(feature)
    leaf = replace(image, tokens=image.tokens.detach().requires_grad_(learning))
    novel = torch.where(batch.novel, model.config.last_supported + 1, 1)
    shape = batch.masks.shape
    size = (shape[1], shape[2], shape[3])
    clicks, losses, dice = first_clicks(batch, rng), list[float](), list[float]()
    for number in range(rounds):
        with mixed(device):
            tokens = head.prompt_tokens(clicks.points, clicks.labels, novel, size)
            logits = head.decode(leaf, tokens).float()
        loss = mask_loss(logits, batch.masks, balance).mean()
        if heed:
            loss = loss + heed * heed_loss(logits, batch.masks, clicks).mean()
        if learning:
            (scale * loss / rounds).backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        dice.append(_dice(logits.detach(), batch.masks))
        if number + 1 < rounds:
            clicks = next_clicks(clicks, batch, logits.detach(), rng)
    if learning and image.tokens.requires_grad:
        image.tokens.backward(leaf.tokens.grad)  # type: ignore[no-untyped-call]
    return Rounds(losses, dice, logits[0, 0].detach() > 0)


def _dice(logits: Tensor, masks: Tensor) -> float:
    found = logits[:, 0] > 0
    overlap = (found & masks).flatten(1).sum(1)
    return float((2 * overlap / (found.flatten(1).sum(1) + masks.flatten(1).sum(1))).mean())
