"""Sizes of the network, kept inside every checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class NetworkConfig:
    """Every number that decides the shape of a parameter.

    The defaults are the released VISTA3D (`vista3d132`): 217 964 982 parameters.

    Attributes:
        widths: channels of encoder levels 0..n-1; level i works at 1/2^i of the resolution.
        blocks: residual blocks of each encoder level (a decoder level always has one).
        features: channels F of both decoders' full-resolution output, of the class embedding
            and of the prompt tokens. The paper says 256, the released network uses 48.
        embeddings: rows of the class embedding table (global class ids).
        heads: attention heads of the two-way transformer.
        mlp_dim: hidden width of the transformer's MLP.
        last_supported: ids above it are novel classes for the point head.
        position_gain: weight of the position code beside the image in the point head; 1 in the
            released network. With few features the image drowns it, and no click is found.
        max_objects: objects decoded together by the point head; bounds memory only.
    """

    widths: tuple[int, ...] = (48, 96, 192, 384, 768)
    blocks: tuple[int, ...] = (1, 2, 2, 4, 4)
    features: int = 48
    embeddings: int = 512
    heads: int = 4
    mlp_dim: int = 512
    last_supported: int = 132
    max_objects: int = 32
    position_gain: float = 1.0

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks):
            msg = f"widths {self.widths} and blocks {self.blocks} must have one entry per level"
            raise ValueError(msg)
        if self.features % (2 * self.heads):
            # The cross attentions work at half the features, split over the heads.
            msg = f"features {self.features} must be a multiple of 2 x heads ({self.heads})"
            raise ValueError(msg)

    @property
    def divisor(self) -> int:
        """Every side of an input window must be a multiple of this (16 for five levels)."""
        return int(2 ** (len(self.widths) - 1))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint's metadata."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """Inverse of `to_dict`; JSON lists become tuples."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**fields)


OFFICIAL = NetworkConfig()
"""The released sizes; key names match both published checkpoints."""

MINI = NetworkConfig(
    widths=(16, 32, 64, 128, 128),
    blocks=(1, 2, 2, 2, 2),
    features=32,
    heads=2,
    mlp_dim=128,
    position_gain=3.0,
)
"""The embedded model. Widths are capped at 128: most parameters of a U-shaped network sit in its
two deepest levels, which cost almost no time (cpu_performance notes)."""
