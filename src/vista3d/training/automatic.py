"""Loss of the automatic branch: class prompts on one patch (paper section 3.4, stage 3)."""

from __future__ import annotations

from vista3d.network.vista3d import Vista3D
from vista3d.training.augmentation import Patch
from vista3d.training.losses import ClassLosses, class_losses, rows_of
from vista3d.training.precision import mixed
from vista3d.training.prompts import ClassPrompts


def prompt_losses(
    model: Vista3D, patch: Patch, prompts: ClassPrompts, balance: float, released: bool = False
) -> ClassLosses:
    """Loss of each class prompt, and their competition; logits and losses in fp32."""
    ids = prompts.ids.to(next(model.parameters()).device)
    with mixed(ids.device):
        features = model.auto_features(patch.window(ids.device))
    return class_losses(
        features.squeeze(0).flatten(1).t(),  # features[0] would give a gradient in another order
        model.class_table(ids).float(),
        rows_of(patch.labels.to(ids.device).flatten(), ids),
        balance=balance,
        released=released,
        rivals=prompts.rivals,
        decided=patch.decided.to(ids.device).flatten(),
    )
