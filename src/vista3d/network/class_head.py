"""The class head: logit_c(v) = <mlp(E[c]), G(v)> (paper section 3.2, "Automatic branch").

Everything nonlinear is either in G (no class) or in the class table (no voxel): windows can be
blended as features, and classes may be chosen afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vista3d.network.blocks import PlainResidualBlock
from vista3d.network.config import NetworkConfig


class ClassHead(nn.Module):
    """Class embeddings, their MLP, and the mapping of image features they are compared with."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.features
        self.image_post_mapping = nn.Sequential(
            PlainResidualBlock(width), PlainResidualBlock(width)
        )
        # Index 1 (the norm) and 2 (GELU) have no parameters: the published keys are mlp.0, mlp.3.
        self.mlp = nn.Sequential(
            nn.Linear(width, width), _UnitNorm(), nn.GELU(), nn.Linear(width, width)
        )
        self.class_embeddings = nn.Embedding(config.embeddings, width)

    def features(self, decoded: Tensor) -> Tensor:
        """Auto decoder output [b, F, H, W, D] -> G of the same shape."""
        out: Tensor = self.image_post_mapping(decoded)
        return out

    def table(self, ids: Tensor) -> Tensor:
        """Global class ids [K] (int64) -> class vectors [K, F]; constant at inference."""
        out: Tensor = self.mlp(self.class_embeddings(ids))
        return out

    def forward(self, decoded: Tensor, ids: Tensor) -> Tensor:
        """Auto decoder output [b, F, H, W, D] and ids [K] -> logits [K, b, H, W, D]."""
        return torch.einsum("kf,bfxyz->kbxyz", self.table(ids), self.features(decoded))


class _UnitNorm(nn.Module):
    """Zero mean, unit population variance over the last axis, eps 1e-5 (InstanceNorm1d(1))."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:])
