"""The point branch of the network, split where a click begins to matter.

`view` is everything before (encoder, point decoder, half-resolution tokens) and is worth
keeping; `logits` is the prompt path alone: 12 times cheaper for the released network on 2 cores.
Where classes can be prompted in the same windows, too, their decoder runs on the same encoding.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Container
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from vista3d.inference.runtimes.base import DTYPES, PathName, Precision
from vista3d.inference.runtimes.classes import ClassPrompts, ClassView
from vista3d.inference.windows import Slices
from vista3d.network.layout import voxel_by_voxel
from vista3d.network.point_head import ImageTokens
from vista3d.network.vista3d import Vista3D

FeaturePath = Callable[[np.ndarray], Tensor]
"""[H, W, D] float32 in [0, 1] -> features [C, H, W, D]."""


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


@dataclass(frozen=True, eq=False)
class WindowView:
    """What all prompts of a window share.

    Attributes:
        image: for clicks.
        classes: for class prompts, if there are any.
    """

    image: ImageTokens
    classes: ClassView | None = None

    @property
    def nbytes(self) -> int:
        """Of its own tensors; the position code is shared by all windows."""
        return self.image.tokens.nbytes + (0 if self.classes is None else self.classes.nbytes)


class PointRuntime:
    """PyTorch on CPU, CUDA or MPS; half precision on a CPU casts a copy of the weights once.

    Args:
        network: its point branch is used.
        device: where.
        precision: of the convolutions.
        compiled: makes what computes the features of a window instead of PyTorch, when they are
            first needed: `openvino.CompiledPath`, 1.5 to 3 times as fast on a CPU. Path "points":
            [H, W, D] -> the point decoder's [F, H, W, D]; "both": [2F, H, W, D].
        classes: whose prompts are answered in the same windows.
    """

    def __init__(
        self,
        network: Vista3D,
        device: str,
        precision: Precision,
        compiled: Callable[[PathName], FeaturePath] | None = None,
        classes: ClassPrompts | None = None,
    ) -> None:
        self._classes = classes
        self._path = self._by_torch if compiled is None else functools.cache(compiled)
        self.device, self.precision = device, precision
        self._dtype = DTYPES[precision]
        self._cast = device == "cpu" and precision != "fp32"
        if self._cast:
            own = _used(network, encodes=compiled is None).to(self._dtype)
        else:
            own = network.to(device)
        self._network = voxel_by_voxel(own)
        self._positions: dict[tuple[int, int, int], Tensor] = {}

    def view(self, context: np.ndarray, inner: Slices, *, classes: bool = False) -> WindowView:
        """What every prompt in a window shares.

        Args:
            context: [H, W, D] float32 in [0, 1], what the encoder sees.
            inner: the window in it.
            classes: for class prompts as well, where there are any: 1.4 times as long.
        """
        if not classes or self._classes is None:
            features = self._features("points", context, inner)
            return WindowView(self._image(features))
        image, features = self.both(context, inner)
        with torch.inference_mode():
            return WindowView(image, self._classes.view(features))

    def both(self, context: np.ndarray, inner: Slices) -> tuple[ImageTokens, Tensor]:
        """One encoding of a window for both branches.

        Args:
            context: [H, W, D] float32 in [0, 1], what the encoder sees.
            inner: the window in it.

        Returns:
            What clicks share, and the class head's feature [F, H, W, D] in the window, in memory
            that the next window may reuse.
        """
        features = self._features("both", context, inner)
        width = self._network.config.features
        return self._image(features[:width]), features[width:]

    def _features(self, path: PathName, context: np.ndarray, inner: Slices) -> Tensor:
        with torch.inference_mode(), self._context():
            return self._path(path)(context)[(slice(None), *inner)]

    def _image(self, features: Tensor) -> ImageTokens:
        """The point decoder's features [F, H, W, D] of a window, ready for clicks."""
        with torch.inference_mode(), self._context():
            point = features.to(self._dtype) if self._cast else features
            image = self._network.point_head.image_tokens(point[None])
        # The position code depends on the window's size only: one copy for all windows.
        position = self._positions.setdefault(image.size, image.position)
        return replace(image, tokens=image.tokens.contiguous(), position=position)

    @property
    def classes(self) -> Container[object]:
        """Global ids that `class_logits` takes."""
        return () if self._classes is None else self._classes

    def class_logits(self, view: WindowView, class_id: int) -> Tensor:
        """Logits [H, W, D] float32 of one of the `classes`."""
        assert self._classes is not None
        assert view.classes is not None
        with torch.inference_mode():
            return self._classes.logits(view.classes, class_id)

    def _by_torch(self, path: PathName) -> FeaturePath:
        network = self._network
        own = network.point_features if path == "points" else network.both_features

        def features(context: np.ndarray) -> Tensor:
            x = torch.from_numpy(np.ascontiguousarray(context, np.float32))[None, None]
            x = x.to(self.device)
            return own(x.to(self._dtype) if self._cast else x)[0]

        return features

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


def _used(network: Vista3D, *, encodes: bool) -> Vista3D:
    """A copy; of the point head alone where it does not encode."""
    parts = () if encodes else (network.class_head, network.image_encoder)
    unused = {id(module): nn.Module() for module in parts}
    return copy.deepcopy(network, unused)  # type: ignore[arg-type]
