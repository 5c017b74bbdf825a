"""The point branch of the network, split where a click begins to matter.

`tokens` is everything before (encoder, point decoder, half-resolution tokens) and is worth
keeping; `logits` is the prompt path alone: 12 times cheaper for the released network on 2 cores.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from vista3d.inference.runtimes.base import DTYPES, Precision
from vista3d.inference.windows import Slices
from vista3d.network.layout import voxel_by_voxel
from vista3d.network.point_head import ImageTokens
from vista3d.network.vista3d import Vista3D


@dataclass(frozen=True)
class WindowPrompt:
    """Clicks of one object in one window.

    Attributes:
        points: [N, 3] window voxels (i, j, k), fractions allowed.
        labels: [N]; 0 negative, 1 positive, 2 and 3 the same for ambiguous classes.
        novel: the zero-shot token instead of the supported one.
    """

    points: np.ndarray
    labels: np.ndarray
    novel: bool


class PointRuntime:
    """PyTorch on CPU, CUDA or MPS; half precision on a CPU casts a copy of the weights once.

    Args:
        network: its point branch is used.
        device: where.
        precision: of the convolutions.
        features: computes the point decoder's feature [F, H, W, D] of a window [H, W, D] instead
            of PyTorch: `openvino.CompiledPath`, 1.5 to 3 times as fast on a CPU.
    """

    def __init__(
        self,
        network: Vista3D,
        device: str,
        precision: Precision,
        features: Callable[[np.ndarray], Tensor] | None = None,
    ) -> None:
        self._features = features or self._by_torch
        self.device, self.precision = device, precision
        self._dtype = DTYPES[precision]
        self._cast = device == "cpu" and precision != "fp32"
        if self._cast:
            own = _point_path(network, features is None).to(self._dtype)
        else:
            own = network.to(device)
        self._network = voxel_by_voxel(own)
        self._positions: dict[tuple[int, int, int], Tensor] = {}

    def tokens(self, context: np.ndarray, inner: Slices) -> ImageTokens:
        """What every click in a window shares.

        Args:
            context: [H, W, D] float32 in [0, 1], what the encoder sees.
            inner: the window in it.
        """
        with torch.inference_mode(), self._context():
            feature = self._features(context)[(slice(None), *inner)]
            if self._cast:
                feature = feature.to(self._dtype)
            image = self._network.point_head.image_tokens(feature[None])
        # The position code depends on the window's size only: one copy for all windows.
        position = self._positions.setdefault(image.size, image.position)
        return replace(image, tokens=image.tokens.contiguous(), position=position)

    def _by_torch(self, context: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(context, np.float32))[None, None].to(self.device)
        return self._network.point_features(x.to(self._dtype) if self._cast else x)[0]

    def logits(self, image: ImageTokens, prompt: WindowPrompt) -> Tensor:
        """Mask logits [H, W, D] float32 on the device."""
        points = torch.from_numpy(np.asarray(prompt.points, np.float32))[None].to(self.device)
        labels = torch.from_numpy(np.asarray(prompt.labels, np.int64))[None].to(self.device)
        head = self._network.point_head
        last = self._network.config.last_supported
        domain = torch.tensor([last + 1 if prompt.novel else last], device=self.device)
        h, w, d = image.size
        with torch.inference_mode(), self._context():
            tokens = head.prompt_tokens(points, labels, domain, (2 * h, 2 * w, 2 * d))
            return head.decode(image, tokens)[0, 0].float()

    def _context(self) -> contextlib.AbstractContextManager[object]:
        if self._cast:
            return contextlib.nullcontext()
        kind = torch.device(self.device).type
        return torch.autocast(kind, self._dtype, enabled=self.precision != "fp32")


def _point_path(network: Vista3D, encodes: bool) -> Vista3D:
    """A copy of the parts that clicks use; of the point head alone where it does not encode."""
    parts = [network.class_head, network.image_encoder.up_layers_auto]
    if not encodes:
        parts = [network.class_head, network.image_encoder]
    unused = {id(module): nn.Module() for module in parts}
    return copy.deepcopy(network, unused)  # type: ignore[arg-type]
