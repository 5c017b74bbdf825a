"""What an example does to the network: losses of a stage, and their gradients."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor, nn

from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import Patch
from vista3d.training.automatic import prompt_losses
from vista3d.training.examples import Example
from vista3d.training.points import click_rounds
from vista3d.training.precision import mixed
from vista3d.training.prompts import draw_class_prompts
from vista3d.training.recipe import AutoStage, Part, PointStage
from vista3d.training.sampler import ClickBatch

Losses = dict[str, float]
"""Name -> value, for people. "loss" is what the step lowers; a missing name: nothing to learn."""

PARTS: dict[Part, tuple[str, ...]] = {
    "encoder": (r"image_encoder\.encoder\.",),
    "auto": (r"image_encoder\.up_layers_auto\.", r"class_head\."),
    "points": (r"image_encoder\.up_layers\.", r"point_head\."),
    "class head": (r"class_head\.",),
    "auto norms": (r"image_encoder\.up_layers_auto\..*\.norm\d",),
}
"""What a part is called in the network: how its parameters' names begin (regular expressions)."""

HEADS = (r"class_head\.", r"point_head\.")
"""Prefixes of the parts that may have a learning rate of their own."""

ABSENT = 0.5
"""Weight of the mean loss of absent prompts against that of present ones, however many there are:
a head with 5 drawn organs is prompted with 36 classes that it does not show, and in one mean over
all prompts (as released) the 5 count for an eighth."""


def trained(model: Vista3D, stage: AutoStage | PointStage) -> list[dict[str, object]]:
    """Freeze all but a stage's parts; their parameters as groups for an optimiser.

    Each group has its own peak learning rate under "peak".
    """
    model.requires_grad_(False)
    groups: list[dict[str, object]] = []
    for prefix in (prefix for part in stage.parts for prefix in PARTS[part]):
        members = [p for name, p in model.named_parameters() if re.match(prefix, name)]
        for parameter in members:
            parameter.requires_grad_(True)
        own = prefix in HEADS and stage.head_rate is not None
        peak = stage.head_rate if own else stage.learning_rate
        groups.append({"params": members, "peak": peak})
    return groups


def learn(
    model: Vista3D,
    example: Example,
    stage: AutoStage | PointStage,
    rng: np.random.Generator,
    scale: float,
) -> Losses:
    """Add the gradient of `scale` times an example's loss."""
    if isinstance(stage, AutoStage):
        return _learn_classes(model, example, stage, rng, scale)
    return _learn_clicks(model, example, stage, rng, scale)


def _learn_classes(
    model: Vista3D, example: Example, stage: AutoStage, rng: np.random.Generator, scale: float
) -> Losses:
    patch = example.patch
    prompts = draw_class_prompts(
        patch.labels,
        patch.annotated,
        rng,
        rivals=patch.rivals,
        max_present=stage.max_present,
        max_absent=stage.max_absent,
        max_rivals=stage.max_rivals,
    )
    if len(prompts.ids) == 0:
        return {}
    released = stage.loss == "released"
    losses, rivalry = prompt_losses(model, patch, prompts, stage.balance, released)
    present, absent = losses[: prompts.present], losses[prompts.present :]
    loss = losses.mean() if released else _competing(present, absent, rivalry)
    (scale * loss).backward()  # type: ignore[no-untyped-call]
    parts = {"present": present, "absent": absent}
    means = {name: float(part.detach().mean()) for name, part in parts.items() if len(part)}
    return {"loss": float(loss.detach()), **means}


def _competing(present: Tensor, absent: Tensor, rivalry: Tensor) -> Tensor:
    """Losses of prompts and of their competition, together."""
    loss = rivalry
    if len(present):
        loss = loss + present.mean()
    if len(absent):
        loss = loss + ABSENT * absent.mean()
    return loss


def _learn_clicks(
    model: Vista3D, example: Example, stage: PointStage, rng: np.random.Generator, scale: float
) -> Losses:
    if not example.views:
        return {}
    feature = point_feature(model, example.patch)
    # The gradients of all windows add up here, then go through decoder and encoder once.
    gradient = torch.zeros_like(feature)
    losses, first, last = [], [], []
    for view in example.views:
        batch = ClickBatch.of(view.targets, feature.device)
        window = feature.detach()[(..., *view.box)].requires_grad_(feature.requires_grad)
        rounds = int(rng.integers(1, stage.rounds + 1)) if stage.views > 1 else stage.rounds
        done = click_rounds(
            model,
            window,
            batch,
            rounds,
            rng,
            balance=stage.balance,
            heed=stage.heed,
            scale=scale / len(example.views),
        )
        if window.grad is not None:
            gradient[(..., *view.box)] += window.grad
        losses.append(np.mean(done.losses))
        first.append(done.dice[0])
        last.append(done.dice[-1])
    if feature.requires_grad:
        feature.backward(gradient)  # type: ignore[no-untyped-call]
    return {
        "loss": float(np.mean(losses)),
        "dice_first": float(np.mean(first)),
        "dice_last": float(np.mean(last)),
    }


def point_feature(model: Vista3D, patch: Patch) -> Tensor:
    """[1, F, H, W, D]: the point decoder's feature of a patch."""
    device = next(model.parameters()).device
    with mixed(device):
        feature: Tensor = model.decode_point(model.encode(patch.window(device))).float()
    return feature


def prepared_head(model: Vista3D) -> None:
    """Near-zero logits to start from: a random class table costs the first 100 steps (CE 5.7)."""
    last = model.class_head.mlp[3]
    with torch.no_grad():
        nn.init.zeros_(last.get_parameter("bias"))
        last.get_parameter("weight").mul_(0.1)
