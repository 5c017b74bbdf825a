"""Tokens and image attend to each other (facts 1.4; the SAM decoder in 3D)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vista3d.network.config import NetworkConfig

DEPTH = 2
"""Layers of the published network."""


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than the tokens'."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [B, N, C], k and v [B, M, C] -> [B, N, C]."""
        mixed = F.scaled_dot_product_attention(
            self._split(self.q_proj(q)), self._split(self.k_proj(k)), self._split(self.v_proj(v))
        )
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class _TokenMLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(F.relu(self.linear1(x)))
        return out


class TwoWayLayer(nn.Module):
    """Self attention of the tokens, tokens to image, MLP, image to tokens."""

    def __init__(self, config: NetworkConfig, *, first: bool) -> None:
        super().__init__()
        width, inner = config.features, config.features // 2
        self.first = first
        self.self_attn = Attention(width, width, config.heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width, inner, config.heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _TokenMLP(width, config.mlp_dim)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width, inner, config.heads)

    def _look_at_each_other(self, q: Tensor, qpe: Tensor) -> Tensor:
        if self.first:  # replaces the tokens: no residual, no position
            out: Tensor = self.self_attn(q, q, q)
            return out
        out = q + self.self_attn(q + qpe, q + qpe, q)
        return out

    def forward(self, q: Tensor, k: Tensor, qpe: Tensor, kpe: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens q [B, N, C] with position qpe, image k [B, M, C] with position kpe."""
        q = self.norm1(self._look_at_each_other(q, qpe))
        q = self.norm2(q + self.cross_attn_token_to_image(q + qpe, k + kpe, k))
        q = self.norm3(q + self.mlp(q))
        k = self.norm4(k + self.cross_attn_image_to_token(k + kpe, q + qpe, q))
        return q, k


class TwoWayTransformer(nn.Module):
    """Two layers and a last look of the tokens at the image."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(config, first=index == 0) for index in range(DEPTH))
        width = config.features
        self.final_attn_token_to_image = Attention(width, width // 2, config.heads)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, image: Tensor, image_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Image tokens and their position [B or 1, M, C], prompt tokens [B, N, C].

        Returns:
            The tokens [B, N, C] and the image [B, M, C] after attention.
        """
        q, k = tokens, image.expand(len(tokens), -1, -1)
        for layer in self.layers:
            q, k = layer(q, k, tokens, image_pe)
        q = q + self.final_attn_token_to_image(q + tokens, k + image_pe, k)
        return self.norm_final_attn(q), k


def fourier_position(x: Tensor, matrix: Tensor) -> Tensor:
    """Random Fourier code of positions x [..., 3] in [0, 1] -> [..., 2 * columns of matrix]."""
    z = 2 * torch.pi * ((2 * x - 1) @ matrix)
    return torch.cat([z.sin(), z.cos()], dim=-1)
