"""PyTorch on CPU, CUDA or MPS."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import torch
from torch import Tensor

from vista3d.inference.runtimes.base import DTYPES, Precision
from vista3d.network.layout import voxel_by_voxel
from vista3d.network.vista3d import Vista3D


class TorchRuntime:
    """The reference runtime.

    In fp32, and on accelerators, the network is shared, not copied, and autocast chooses the
    precision of each operation as the official code does. On a CPU half precision casts a copy of
    the weights once: the same agreement with fp32 (relative error 0.023 beside 0.022 on random
    weights) and speed as autocast, with half the memory for activations. There, kernels are ordered
    voxel by voxel: 1.4 (fp32) to 2.2 times (bf16) as fast for the released sizes, 1.4 and 1.8 for
    `mini` (2 cores with AMX).
    """

    name = "torch"

    def __init__(self, network: Vista3D, device: str, precision: Precision) -> None:
        self.device, self.precision = device, precision
        self._dtype = DTYPES[precision]
        self._cast = device == "cpu" and precision != "fp32"
        own = _auto_path(network).to(self._dtype) if self._cast else network.to(device)
        self._network = voxel_by_voxel(own)

    def tensor(self, window: np.ndarray) -> Tensor:
        """[H, W, D] float32 in [0, 1] -> G [F, H, W, D] on the device, in its precision."""
        x = torch.from_numpy(np.ascontiguousarray(window, np.float32))[None, None].to(self.device)
        if self._cast:
            context: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
            x = x.to(self._dtype)
        else:
            kind = torch.device(self.device).type
            context = torch.autocast(kind, self._dtype, enabled=self.precision != "fp32")
        with torch.inference_mode(), context:
            return self._network.auto_features(x)[0]

    def features(self, window: np.ndarray) -> np.ndarray:
        """[H, W, D] float32 in [0, 1] -> G [F, H, W, D] float32."""
        return np.asarray(self.tensor(window).float().cpu().numpy())


def _auto_path(network: Vista3D) -> Vista3D:
    """A copy of the parts that automatic segmentation uses."""
    unused = {
        id(module): torch.nn.Module()
        for module in (network.point_head, network.image_encoder.up_layers)
    }
    return copy.deepcopy(network, unused)  # type: ignore[arg-type]
