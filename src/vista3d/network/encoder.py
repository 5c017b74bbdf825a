"""The shared image encoder (SegResNet; paper Fig. 1b, "3D Encoder")."""

from __future__ import annotations

from torch import Tensor, nn

from vista3d.network.blocks import ResidualBlock, conv3x3x3
from vista3d.network.config import NetworkConfig


class EncoderLevel(nn.Module):
    """Residual blocks at one resolution and the strided convolution to the next."""

    def __init__(self, width: int, blocks: int, next_width: int | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.downsample = (
            nn.Identity() if next_width is None else conv3x3x3(width, next_width, stride=2)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[b, width, H, W, D] -> the skip (same shape) and the next level's input."""
        skip: Tensor = self.blocks(x)
        return skip, self.downsample(skip)


class Encoder(nn.Module):
    """One channel in, one skip per level out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        following = [*config.widths[1:], None]
        self.conv_init = conv3x3x3(1, config.widths[0])
        self.layers = nn.ModuleList(
            EncoderLevel(width, blocks, after)
            for width, blocks, after in zip(config.widths, config.blocks, following, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """[b, 1, H, W, D] in [0, 1] -> skips [b, widths[i], H/2^i, W/2^i, D/2^i]."""
        x = self.conv_init(x)
        skips = []
        for level in self.layers:
            skip, x = level(x)
            skips.append(skip)
        return skips
