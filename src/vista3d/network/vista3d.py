"""VISTA3D: one encoder, two decoders, two heads (paper Fig. 1b)."""

from __future__ import annotations

from torch import Tensor, cat, nn

from vista3d.network.class_head import ClassHead
from vista3d.network.config import NetworkConfig
from vista3d.network.decoder import build_decoder, decode
from vista3d.network.encoder import Encoder
from vista3d.network.point_head import PointHead


class ImageEncoder(nn.Module):
    """The encoder and the two decoders, named as in the published checkpoints."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.up_layers = build_decoder(config)
        self.up_layers_auto = build_decoder(config)


class Vista3D(nn.Module):
    """The promptable network. Windows are [b, 1, H, W, D], intensities in [0, 1]."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config)
        self.class_head = ClassHead(config)
        self.point_head = PointHead(config)

    def encode(self, x: Tensor) -> list[Tensor]:
        """[b, 1, H, W, D] -> one skip per encoder level."""
        sizes = tuple(x.shape[2:])
        if any(size % self.config.divisor for size in sizes):
            msg = f"window {sizes} must be a multiple of {self.config.divisor} along every axis"
            raise ValueError(msg)
        if all(size == self.config.divisor for size in sizes):
            msg = f"window {sizes} is one voxel at the lowest level, which cannot be normalised"
            raise ValueError(msg)
        skips: list[Tensor] = self.image_encoder.encoder(x)
        return skips

    def decode_auto(self, skips: list[Tensor]) -> Tensor:
        """Skips of `encode` -> feature of the auto decoder [b, F, H, W, D], for the class head."""
        return decode(self.image_encoder.up_layers_auto, skips)

    def decode_point(self, skips: list[Tensor]) -> Tensor:
        """Skips of `encode` -> feature of the point decoder [b, F, H, W, D], for the point head."""
        return decode(self.image_encoder.up_layers, skips)

    def auto_features(self, x: Tensor) -> Tensor:
        """[b, 1, H, W, D] -> G [b, F, H, W, D], what the class table is multiplied with."""
        return self.class_head.features(self.decode_auto(self.encode(x)))

    def point_features(self, x: Tensor) -> Tensor:
        """[b, 1, H, W, D] -> full-resolution feature of the point decoder [b, F, H, W, D]."""
        return self.decode_point(self.encode(x))

    def both_features(self, x: Tensor) -> Tensor:
        """[b, 1, H, W, D] -> [b, 2F, H, W, D]: `point_features`, then `auto_features`."""
        skips = self.encode(x)
        classes = self.class_head.features(self.decode_auto(skips))
        return cat([self.decode_point(skips), classes], 1)

    def class_table(self, ids: Tensor) -> Tensor:
        """Global class ids [K] (int64) -> class vectors [K, F]."""
        return self.class_head.table(ids)

    def forward_classes(self, x: Tensor, ids: Tensor) -> Tensor:
        """[b, 1, H, W, D] and ids [K] -> logits [K, b, H, W, D]."""
        out: Tensor = self.class_head(self.decode_auto(self.encode(x)), ids)
        return out

    def point_logits(
        self, feature: Tensor, points: Tensor, labels: Tensor, prompt_class: Tensor | None = None
    ) -> Tensor:
        """Point decoder output [1, F, H, W, D] and the clicks of B objects -> [B, 1, H, W, D].

        Args:
            feature: from `point_features`.
            points: [B, N, 3] window voxels (i, j, k).
            labels: [B, N]; see `PointHead.prompt_tokens`.
            prompt_class: [B] global class ids or None.
        """
        out: Tensor = self.point_head(feature, points, labels, prompt_class)
        return out
