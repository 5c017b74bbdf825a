"""What automatic inference asks of a runtime."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

Precision = Literal["fp32", "bf16", "fp16"]

PathName = Literal["auto", "points", "both"]
"""To the class head's feature, to the point decoder's, or to the latter and then the former."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Runtime(Protocol):
    """Runs the encoder, the auto decoder and the class head's mapping on one window."""

    @property
    def name(self) -> str:
        """ "torch" or "openvino"."""

    @property
    def device(self) -> str:
        """ "cpu", "cuda:0", "mps"."""

    @property
    def precision(self) -> Precision:
        """Of the convolutions."""

    def features(self, window: np.ndarray) -> np.ndarray:
        """[H, W, D] float32 in [0, 1] -> G [F, H, W, D] float32."""

    def tensor(self, window: np.ndarray) -> Tensor:
        """The same on the runtime's device, any float type; valid until the next call."""
