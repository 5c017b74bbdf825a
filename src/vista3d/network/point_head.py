"""The point head: clicks and an image feature to one mask per object (paper section 3.2).

What a click does not change is separate from what it does: `image_tokens` once per window, then
`prompt_tokens` and `decode` once per click.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vista3d.network.blocks import InstanceNorm
from vista3d.network.config import NetworkConfig
from vista3d.network.folded_product import folded_product
from vista3d.network.two_way_transformer import TwoWayTransformer, fourier_position
from vista3d.network.upscaling import transposed_convolution

CHUNK_BYTES = 3 * 2**30
"""Work memory of the objects decoded together: two at 128^3 in fp32 (1.4 GB each, measured)."""

_LIVE = 4
"""Full-resolution features alive at once per object, rounded up (3.4 to 3.6 measured)."""


@dataclass(frozen=True)
class ImageTokens:
    """What the clicks of a window share: half-resolution tokens and where they are.

    Attributes:
        tokens: [1, M, F], M = h w d.
        position: [1, M, F], their position code.
        size: (h, w, d), half the window.
    """

    tokens: Tensor
    position: Tensor
    size: tuple[int, int, int]


class _PositionEncoding(nn.Module):
    """Holds the random matrix of the position code: part of the checkpoint, never redrawn."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(3, features // 2))

    def forward(self, x: Tensor) -> Tensor:
        """Positions [..., 3] in [0, 1] -> [..., features]."""
        return self.gain * fourier_position(x, self.positional_encoding_gaussian_matrix)


class _HyperMLP(nn.Module):
    """Three linear layers from the mask token to the weights of the last product."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class PointHead(nn.Module):
    """Clicks -> mask logits. Names and unused tensors follow the published checkpoints."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.features
        self.feat_downsample = nn.Sequential(
            nn.Conv3d(width, width, 3, stride=2, padding=1),
            InstanceNorm(width, affine=False),
            nn.GELU(),
            nn.Conv3d(width, width, 3, padding=1),
            InstanceNorm(width, affine=False),
        )
        self.mask_downsample = nn.Conv3d(2, 2, 3, stride=2, padding=1)  # unused, in every file
        self.transformer = TwoWayTransformer(config)
        self.pe_layer = _PositionEncoding(width, config.position_gain)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(2))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.special_class_embed = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(1, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose3d(width, width, 3, stride=2, padding=1, output_padding=1),
            InstanceNorm(width, affine=False),
            nn.GELU(),
            nn.Conv3d(width, width, 3, padding=1),
        )
        self.output_hypernetworks_mlps = _HyperMLP(width)
        self.class_embeddings = nn.Embedding(config.embeddings, width)  # unused, in every file
        self.zeroshot_embed = nn.Embedding(1, width)
        self.supported_embed = nn.Embedding(1, width)

    def image_tokens(self, feature: Tensor) -> ImageTokens:
        """Point decoder output [1, F, H, W, D] -> what all clicks of the window share."""
        if feature.shape[0] != 1:
            msg = f"the point head takes one window at a time, not {feature.shape[0]}"
            raise ValueError(msg)
        half = self.feat_downsample(feature)
        h, w, d = half.shape[2:]
        axes = [(torch.arange(n, device=half.device) + 0.5) / n for n in (h, w, d)]
        centres = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(1, -1, 3)
        position = self.pe_layer(centres).to(half.dtype)
        return ImageTokens(half.flatten(2).transpose(1, 2), position, (h, w, d))

    def prompt_tokens(
        self,
        points: Tensor,
        labels: Tensor,
        prompt_class: Tensor | None,
        size: tuple[int, int, int],
    ) -> Tensor:
        """Tokens of clicks: mask token, one per click, domain token -> [B, N + 2, F].

        Args:
            points: [B, N, 3] window voxels (i, j, k), fractions allowed.
            labels: [B, N]; 0 negative, 1 positive, 2 and 3 the same for ambiguous classes,
                -1 padding (still a token that takes part in attention).
            prompt_class: [B] global class ids; those above `last_supported` are novel. None means
                supported.
            size: (H, W, D) of the window.
        """
        dtype = self.mask_tokens.weight.dtype
        extent = torch.tensor(size, device=points.device, dtype=torch.float32)
        position = self.pe_layer((points.float() + 0.5) / extent).to(dtype)
        labels = labels[..., None]
        positive = ((labels == 1) | (labels == 3)).to(dtype)
        negative = ((labels == 0) | (labels == 2)).to(dtype)
        special = (labels >= 2).to(dtype)
        real = (labels >= 0).to(dtype)
        sides = [embedding.get_parameter("weight") for embedding in self.point_embeddings]
        clicks = (
            position * real
            + negative * sides[0]
            + positive * sides[1]
            + special * self.special_class_embed.weight
            + (1 - real) * self.not_a_point_embed.weight
        )
        count = points.shape[0]
        mask = self.mask_tokens.weight.expand(count, 1, -1)
        domain = self.supported_embed.weight.expand(count, -1)
        if prompt_class is not None:
            novel = (prompt_class > self.config.last_supported).to(dtype)[:, None]
            domain = novel * self.zeroshot_embed.weight + (1 - novel) * domain
        return torch.cat([mask, clicks, domain[:, None]], dim=1)

    def decode(self, image: ImageTokens, tokens: Tensor) -> Tensor:
        """Prompt tokens [B, N + 2, F] -> mask logits [B, 1, H, W, D], a few objects at a time."""
        chunks = torch.split(tokens, self._objects_at_once(image))
        return torch.cat([self._decode(image, chunk) for chunk in chunks])

    def _objects_at_once(self, image: ImageTokens) -> int:
        full_resolution = 8 * image.tokens.numel() * image.tokens.element_size()
        return max(1, min(self.config.max_objects, CHUNK_BYTES // (_LIVE * full_resolution)))

    def _decode(self, image: ImageTokens, tokens: Tensor) -> Tensor:
        q, k = self.transformer(image.tokens, image.position, tokens)
        hyper = self.output_hypernetworks_mlps(q[:, 0])
        last = self.output_upscaling[-1]
        weight, bias = last.get_parameter("weight"), last.get_parameter("bias")
        masks = [
            folded_product(vector, self._upscaled(view, image.size), weight, bias)
            for vector, view in zip(hyper, k, strict=True)
        ]
        return torch.stack(masks)[:, None]

    def _upscaled(self, view: Tensor, size: tuple[int, int, int]) -> Tensor:
        """An object's view of the image [M, F] -> [F, H, W, D], voxels first in memory.

        Training takes the plain modules: their gradients are twice as fast.
        """
        if torch.is_grad_enabled():
            plain: Tensor = self.output_upscaling[:-1](view.t().reshape(1, -1, *size))
            return plain.squeeze(0)  # plain[0] would give a gradient in another order
        first = self.output_upscaling[0]
        weight, bias = first.get_parameter("weight"), first.get_parameter("bias")
        full = transposed_convolution(view, size, weight, bias)
        # Of one object, the statistics of a batch of voxels are those of the instance.
        full = F.gelu(F.batch_norm(full, None, None, training=True))
        h, w, d = (2 * n for n in size)
        return full.t().reshape(-1, h, w, d)

    def forward(
        self, feature: Tensor, points: Tensor, labels: Tensor, prompt_class: Tensor | None = None
    ) -> Tensor:
        """Point decoder output [1, F, H, W, D] and clicks -> logits [B, 1, H, W, D]."""
        h, w, d = feature.shape[2:]
        tokens = self.prompt_tokens(points, labels, prompt_class, (h, w, d))
        return self.decode(self.image_tokens(feature), tokens)
