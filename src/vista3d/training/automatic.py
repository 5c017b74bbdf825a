"""Loss of the automatic branch: class prompts on one patch (paper section 3.4, stage 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import Patch
from vista3d.training.losses import competition, dice_ce, rows_of
from vista3d.training.precision import mixed
from vista3d.training.prompts import ClassPrompts

NEVER = -30.0
"""Logit given to a rival where nothing is known of it: no loss, and no gradient."""


def prompt_losses(
    model: Vista3D, patch: Patch, prompts: ClassPrompts, balance: float
) -> tuple[Tensor, Tensor]:
    """Loss of each class prompt [K] and their competition; logits and loss in fp32."""
    ids = prompts.ids.to(next(model.parameters()).device)
    device = ids.device
    with mixed(device):
        features = model.auto_features(patch.window(device))
    table = model.class_table(ids).float()
    logits = table @ features.float().flatten(2)[0]
    if prompts.rivals:
        undecided = ~patch.decided.to(device).flatten()
        rows = torch.arange(len(ids), device=device) >= len(ids) - prompts.rivals
        logits = logits.masked_fill(rows[:, None] & undecided, NEVER)
    truth = rows_of(patch.labels.to(device).flatten(), ids)
    return dice_ce(logits, truth), competition(logits, truth, balance)
