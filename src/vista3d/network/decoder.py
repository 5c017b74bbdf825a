"""A decoder: encoder skips to one full-resolution feature volume (paper Fig. 1b, "3D Decoder").

The network has two of them with the same shape and different weights: `up_layers` feeds the point
head, `up_layers_auto` the class head.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from torch import Tensor, nn

from vista3d.network.blocks import ResidualBlock
from vista3d.network.config import NetworkConfig


class _Upsample(nn.Module):
    """Transposed convolution that doubles the size; one name deeper, as the published keys."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose3d(
            inputs, outputs, kernel_size=3, stride=2, padding=1, output_padding=1, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.deconv(x)
        return out


class DecoderLevel(nn.Module):
    """Upsample, add the skip, one residual block; the last level ends in a 1x1x1 head."""

    def __init__(self, inputs: int, outputs: int, head: int | None) -> None:
        super().__init__()
        self.upsample = _Upsample(inputs, outputs)
        self.blocks = nn.Sequential(ResidualBlock(outputs))
        self.head = nn.Identity() if head is None else nn.Conv3d(outputs, head, kernel_size=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """[b, inputs, h, w, d] and skip [b, outputs, 2h, 2w, 2d] -> [b, head or outputs, 2h..]."""
        out: Tensor = self.head(self.blocks(self.upsample(x) + skip))
        return out


def build_decoder(config: NetworkConfig) -> nn.ModuleList:
    """Decoder levels from the deepest to the full resolution."""
    widths = config.widths[::-1]
    last = len(widths) - 2
    return nn.ModuleList(
        DecoderLevel(inputs, outputs, config.features if k == last else None)
        for k, (inputs, outputs) in enumerate(itertools.pairwise(widths))
    )


def decode(levels: Iterable[nn.Module], skips: list[Tensor]) -> Tensor:
    """Run decoder levels over encoder skips: -> [b, features, H, W, D]."""
    x = skips[-1]
    for level, skip in zip(levels, reversed(skips[:-1]), strict=True):
        x = level(x, skip)
    return x
