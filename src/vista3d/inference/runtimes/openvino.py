"""OpenVINO on CPUs (extra `cpu`): fused convolutions, native bf16 where the CPU has it.

On a CPU with AMX it is 3 to 3.5 times as fast as PyTorch in bf16 (128^3 window of the official
network: 4.5 beside 18.8 CPU seconds), and closer to fp32: its norms keep fp32 statistics.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import secrets
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vista3d.inference.heap import release_file, trim_heap
from vista3d.inference.runtimes.base import DTYPES, PathName, Precision
from vista3d.network.vista3d import Vista3D

log = logging.getLogger(__name__)

_RECIPE = "2"
"""Changes whenever the same network is converted differently, so that old copies are not used."""

_TRACE = 32
"""Side of the window the network is converted at, then reshaped: 96^3 took 67 s to convert."""


class CompiledPath:
    """A path of the network from a window to a feature, compiled for one size of window.

    In half precision the weights are stored as fp16, finer than the bf16 they are computed in, and
    the features come out as they were computed: 1.1 GB less for the official network. What stays
    of it is OpenVINO's own arrangement of the weights (0.4 GB) and its scratch memory (1.0 GB for
    a window of 128^3: five full-resolution tensors).

    Args:
        path: which way through the network.
        network: the converted copy is made of it, where there is none yet.
        window: voxels of a window; conversion does not depend on it.
        precision: "fp32", "bf16", "fp16".
        weights: file that the network was loaded from, unchanged; None hashes the network.
    """

    def __init__(
        self,
        path: PathName,
        network: Vista3D,
        window: tuple[int, int, int],
        precision: Precision,
        weights: Path | None = None,
    ) -> None:
        import openvino as ov
        from openvino.preprocess import PrePostProcessor

        core = _core()
        file = _converted(path, network, weights, half=precision != "fp32")
        model = core.read_model(file)
        model.reshape([1, 1, *window])
        self._dtype = DTYPES[precision]
        hint = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[precision]
        steps = PrePostProcessor(model)
        steps.output().tensor().set_element_type(getattr(ov.Type, hint))
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint}
        compiled = core.compile_model(steps.build(), "CPU", settings)
        self._request = compiled.create_infer_request()
        del model, steps
        # The compiled model works on its own copy of the weights, but keeps their file mapped:
        # 0.37 GB for the official network.
        release_file(file.with_suffix(".bin"))
        trim_heap()

    def __call__(self, window: np.ndarray) -> Tensor:
        """[H, W, D] float32 in [0, 1] -> [F, H, W, D], in memory that the next call reuses."""
        x = np.ascontiguousarray(window, np.float32)[None, None]
        # `infer` would hand back a copy of the output: 0.2 GB of a 128^3 window.
        self._request.infer({0: x}, share_inputs=True, share_outputs=True)
        out = self._request.get_output_tensor(0)
        # numpy has no bf16: OpenVINO shows its bits as float16, torch takes them for what they are.
        return torch.from_numpy(out.data).view(self._dtype)[0]


class OpenVINORuntime:
    """The automatic branch: see `CompiledPath`, whose arguments it takes."""

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        network: Vista3D,
        window: tuple[int, int, int],
        precision: Precision,
        weights: Path | None = None,
    ) -> None:
        self.precision, self.weights = precision, weights
        self._path = CompiledPath("auto", network, window, precision, weights)

    def tensor(self, window: np.ndarray) -> Tensor:
        """[H, W, D] float32 in [0, 1] -> G [F, H, W, D], in memory that the next call reuses."""
        return self._path(window)

    def features(self, window: np.ndarray) -> np.ndarray:
        """[H, W, D] float32 in [0, 1] -> G [F, H, W, D] float32."""
        return self.tensor(window).float().clone().numpy()


@functools.cache
def _core() -> Any:
    """OpenVINO, once per process, and never unloaded.

    Its CPU plugin gives the thread that loads it a signal stack. Where the last core goes in
    another thread, the stack is unmapped but stays installed: the next Ctrl-C ends in a crash.
    """
    import openvino as ov

    return ov.Core()


class _AutoPath(nn.Module):
    def __init__(self, network: Vista3D) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.auto_features(x)


class _PointPath(_AutoPath):
    def forward(self, x: Tensor) -> Tensor:
        return self.network.point_features(x)


class _BothPaths(_AutoPath):
    def forward(self, x: Tensor) -> Tensor:
        return self.network.both_features(x)


_PATHS: dict[PathName, type[_AutoPath]] = {
    "auto": _AutoPath,
    "points": _PointPath,
    "both": _BothPaths,
}
_UNUSED: dict[PathName, tuple[str, ...]] = {
    "auto": ("point_head.", "image_encoder.up_layers."),
    "points": ("point_head.", "class_head.", "image_encoder.up_layers_auto."),
    "both": ("point_head.", "class_head.class_embeddings."),
}
"""What a path does not depend on."""


def cache_folder() -> Path:
    """Where converted networks are kept: VISTA3D_HOME/openvino or the platform's cache."""
    if home := os.environ.get("VISTA3D_HOME"):
        return Path(home) / "openvino"
    from platformdirs import user_cache_path

    return user_cache_path("vista3d") / "openvino"


def _fingerprint(path: PathName, network: Vista3D, weights: Path | None) -> str:
    """Hash of version and weights; 0.1 s per 100 MB.

    A file is hashed rather than the tensors that were mapped from it: those of the official
    network then never come into memory (0.85 GB), unless they are converted.
    """
    import openvino as ov

    digest = hashlib.sha256(f"{_RECIPE} {ov.__version__} {network.config}".encode())
    if weights is not None:
        with weights.open("rb") as file:
            while part := file.read(2**22):
                digest.update(part)
        return digest.hexdigest()[:20]
    for name, value in network.state_dict().items():
        if not name.startswith(_UNUSED[path]):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:20]


def _converted(path: PathName, network: Vista3D, weights: Path | None, half: bool) -> Path:
    """The converted model's file; converted on first use, into place by one rename."""
    import openvino as ov

    stored = "fp16" if half else "fp32"
    place = cache_folder() / f"{_fingerprint(path, network, weights)}-{path}-{stored}"
    file = place / "network.xml"
    if file.is_file():
        return file
    log.info("converting the network for OpenVINO, once: %s", place)
    partial = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    partial.mkdir(parents=True)
    try:
        example = torch.zeros(1, 1, _TRACE, _TRACE, _TRACE)
        with torch.no_grad(), warnings.catch_warnings():
            # The tracer warns about every size check; the sizes are then made dynamic.
            warnings.simplefilter("ignore")
            model = ov.convert_model(
                _PATHS[path](network.cpu()),
                example_input=example,
                input=[("x", [1, 1, -1, -1, -1])],
            )
        _widen_pointwise(model)
        ov.save_model(model, partial / "network.xml", compress_to_fp16=half)
        if not file.is_file():
            partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return file


def _widen_pointwise(model: Any) -> None:
    """Give 1x1x1 convolutions a third dimension of 3, zero but in the middle: exactly the same.

    OpenVINO's bf16 kernel for 1x1x1 keeps an fp32 copy of its output, channels padded: 0.5 GB
    reserved and 0.2 GB touched for a 128^3 window of the official network, at 12 times the time
    (67 ms of a 64^3 window, beside 5 ms).
    """
    from openvino import opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() != "Convolution":
            continue
        source = node.input_value(1).get_node()
        while source.get_type_name() != "Constant":
            source = source.input_value(0).get_node()
        kernel = source.get_data()
        if kernel.shape[2:] != (1, 1, 1):
            continue
        wide = np.pad(kernel, [(0, 0)] * 4 + [(1, 1)])
        pads = [0, 0, 1]
        same = ops.convolution(
            node.input_value(0), ops.constant(wide), [1] * 3, pads, pads, [1] * 3
        )
        node.output(0).replace(same.output(0))
