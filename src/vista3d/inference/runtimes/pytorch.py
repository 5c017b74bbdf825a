"""PyTorch on CPU, CUDA or MPS."""

from __future__ import annotations

import numpy as np
import torch

from vista3d.inference.runtimes.base import Precision
from vista3d.network.vista3d import Vista3D

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchRuntime:
    """The reference runtime; the network is shared, not copied, in fp32."""

    name = "torch"

    def __init__(self, network: Vista3D, device: str, precision: Precision) -> None:
        self.device, self.precision = device, precision
        self._network = network.to(device)

    def features(self, window: np.ndarray) -> np.ndarray:
        """[H, W, D] float32 in [0, 1] -> G [F, H, W, D] float32."""
        x = torch.from_numpy(np.ascontiguousarray(window))[None, None].to(self.device)
        kind = torch.device(self.device).type
        # Autocast keeps the instance norms' statistics in fp32, a cast network would not.
        with (
            torch.inference_mode(),
            torch.autocast(kind, _DTYPES[self.precision], enabled=self.precision != "fp32"),
        ):
            features = self._network.auto_features(x)
        return np.asarray(features[0].float().cpu().numpy())
