"""Losses of class prompts: Dice + cross-entropy per prompt (facts 3.3), and their competition.

`truth` [V] int64 is the row of each voxel's prompt + 1, or 0 where it belongs to none: prompts of
one patch never overlap, so gathering one logit per voxel replaces dense target masks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

SMOOTH = 1.0
"""Voxels added to both sides of the Dice ratio. The released training uses 0 in the numerator,
which leaves the Dice term of an absent class constant, hence without gradient."""

RELEASED_SMOOTH = 1e-5
"""Added to the denominator only, by the released training (facts 3.3)."""

SMOOTH_ABSENT = 1000.0
"""The same where the class is not in the patch: a parotid gland at 3 mm. With a single voxel only
the first false positives cost anything: 1000 of them have a 250th of this gradient, and what is
found elsewhere stays. Fine-tuned on five scans, the mandible of ten others: Dice 0.71 with 1, found
1.5 times as large as drawn; 0.78 and 1.2 with this."""

CHUNK = 16_384
"""Voxels whose logits exist at a time: 3 MB with 47 prompts. At 80^3 all of them are 96 MB, each of
a dozen passes over them takes fresh memory, and the losses take as long as the network."""

NEVER = -30.0
"""Logit given to a rival where nothing is known of it: no loss, and no gradient."""


class ClassLosses(NamedTuple):
    """What class prompts cost.

    Attributes:
        prompts: [K] float32: (1 - soft Dice with squared denominator) + mean binary cross-entropy.
        rivalry: scalar: cross-entropy among the prompts and a background whose logit is 0, the
            weighted mean over voxels. It is the training twin of the inference rule. Binary prompts
            alone learn slowly from scratch: after 400 steps on the corpus only the liver had left
            Dice 0.03.
    """

    prompts: Tensor
    rivalry: Tensor


def rows_of(labels: Tensor, ids: Tensor) -> Tensor:
    """Global ids per voxel [V] and prompts [K] -> truth [V]."""
    table = torch.zeros(int(max(labels.max(), ids.max())) + 1, dtype=torch.int64, device=ids.device)
    table[ids] = torch.arange(1, len(ids) + 1, device=ids.device)
    return table[labels]


def class_losses(
    features: Tensor,
    table: Tensor,
    truth: Tensor,
    *,
    balance: float = 0.5,
    released: bool = False,
    rivals: int = 0,
    decided: Tensor | None = None,
) -> ClassLosses:
    """Losses of the logits <table[k], features[v]>, which never exist all at once.

    Args:
        features: [V, F].
        table: [K, F] float32 class vectors.
        truth: [V] int64.
        balance: a voxel's weight in the rivalry is its class's size to the power of minus this.
            With 0.5 a rib counts beside a lung, and every border lies too far out: 300 voxels in
            80^3 weigh 41 times as much as background, 3.7 in logits. With 0 all weigh the same.
        released: whether Dice is smoothed as released; see `SMOOTH`.
        rivals: how many prompts, the last ones, take part only where `decided` [V] bool says so.
        decided: needed with rivals.
    """
    size = torch.bincount(truth, minlength=len(table) + 1).to(table.dtype)
    weight = size.clamp_min(1).pow(-balance)
    silent = torch.zeros_like(truth, dtype=torch.bool) if decided is None else ~decided
    parts = zip(*(torch.split(x, CHUNK) for x in (features, truth, silent)), strict=True)
    sums = [
        checkpoint(_sums, *part, table, weight, rivals, use_reentrant=False,
                   preserve_rng_state=False)
        for part in parts
    ]  # fmt: skip
    total = torch.stack(sums).sum(0)
    overlap, squares, entropy = total[:-1].view(3, -1)
    smooth = torch.where(size[1:] > 0, SMOOTH, SMOOTH_ABSENT)
    above, below = (0.0, RELEASED_SMOOTH) if released else (smooth, smooth)
    dice = 1 - (2 * overlap + above) / (squares + size[1:] + below)
    return ClassLosses(dice + entropy / len(truth), total[-1] / (weight * size).sum())


def _sums(
    features: Tensor, truth: Tensor, silent: Tensor, table: Tensor, weight: Tensor, rivals: int
) -> Tensor:
    """[3 K + 1]: per prompt overlap, squared probabilities and cross-entropy; the rivalry."""
    logits = table @ features.float().t()
    if rivals:
        calm, other = torch.split(logits, [len(table) - rivals, rivals])
        logits = torch.cat([calm, other.masked_fill(silent, NEVER)])
    voxels = torch.nonzero(truth)[:, 0]
    row = truth[voxels] - 1
    own = logits[row, voxels]
    zeros = logits.new_zeros(len(logits))
    mine = zeros.index_add(0, row, own)
    overlap = zeros.index_add(0, row, torch.sigmoid(own))
    squares = torch.sigmoid(logits).square().sum(1)
    entropy = F.softplus(logits).sum(1) - mine
    # log(1 + sum of exp): the 1 is background.
    either = F.softplus(torch.logsumexp(logits, 0))
    rivalry = (either * weight[truth]).sum() - (own * weight[truth[voxels]]).sum()
    return torch.cat([overlap, squares, entropy, rivalry[None]])
