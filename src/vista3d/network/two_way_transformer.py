"""Tokens and image attend to each other (paper section 3.2; the mask decoder of SAM, in 3D)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vista3d.network.config import NetworkConfig

DEPTH = 2
"""Layers of the published network (facts 1.4)."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(E)) v for q [B, heads, N, E], k and v [B, heads, M, E].

    Training on a CPU spells it out: N or M is a handful of tokens, and there the backward of the
    fused kernel takes 4 times as long in bf16 (4 objects, 10 tokens, 16^3 voxels, one core).
    """
    if q.device.type == "cpu" and torch.is_grad_enabled():
        weights: Tensor = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(-1)
        return weights @ v
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than the tokens'."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def _split(self, x: Tensor, count: int) -> Tensor:
        """[B or 1, N, inner] -> [count, heads, N, inner / heads]; a shared row is not copied."""
        heads = x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
        return heads.expand(count, -1, -1, -1)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, count: int) -> Tensor:
        """q [B or 1, N, C], k and v [B or 1, M, C], B = `count` objects -> [B, N, C].

        What all objects share comes with 1 row: it is projected once.
        """
        mixed = attend(
            self._split(self.q_proj(q), count),
            self._split(self.k_proj(k), count),
            self._split(self.v_proj(v), count),
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
            out: Tensor = self.self_attn(q, q, q, q.shape[0])
            return out
        out = q + self.self_attn(q + qpe, q + qpe, q, q.shape[0])
        return out

    def forward(self, q: Tensor, k: Tensor, qpe: Tensor, kpe: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens q [B, N, C] with position qpe; image k [B or 1, M, C] with position kpe."""
        count = q.shape[0]
        q = self.norm1(self._look_at_each_other(q, qpe))
        q = self.norm2(q + self.cross_attn_token_to_image(q + qpe, k + kpe, k, count))
        q = self.norm3(q + self.mlp(q))
        k = self.norm4(k + self.cross_attn_image_to_token(k + kpe, q + qpe, q, count))
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
        """Image tokens and their position [1, M, C], prompt tokens of B objects [B, N, C].

        Returns:
            The tokens [B, N, C] and each object's view of the image [B, M, C].
        """
        q, k = tokens, image
        for layer in self.layers:
            q, k = layer(q, k, tokens, image_pe)
        q = q + self.final_attn_token_to_image(q + tokens, k + image_pe, k, q.shape[0])
        return self.norm_final_attn(q), k


def fourier_position(x: Tensor, matrix: Tensor) -> Tensor:
    """Random Fourier code of positions x [..., 3] in [0, 1] -> [..., 2 * columns of matrix].

    Written as three products instead of a matrix product: under autocast that would be rounded to
    half precision, and the phase (up to 60 rad) would be off by a quarter of a radian.
    """
    x = 2 * x.float() - 1
    rows = matrix.float()
    z = x[..., 0:1] * rows[0] + x[..., 1:2] * rows[1] + x[..., 2:3] * rows[2]
    z = 2 * torch.pi * z
    return torch.cat([z.sin(), z.cos()], dim=-1)
