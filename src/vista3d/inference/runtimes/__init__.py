"""Runtimes behind one small interface, and the choice between them."""

from __future__ import annotations

import functools
import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from vista3d.errors import UsageError
from vista3d.inference.runtimes.base import Precision, Runtime
from vista3d.network.vista3d import Vista3D

if TYPE_CHECKING:
    from vista3d.inference.runtimes.classes import ClassPrompts
    from vista3d.inference.runtimes.points import PointRuntime

log = logging.getLogger(__name__)

__all__ = [
    "Precision",
    "Runtime",
    "choose_device",
    "choose_runtime",
    "has_native_bf16",
    "point_runtime",
]


def choose_device(wanted: str) -> str:
    """ "auto" -> the best device there is; anything else is checked.

    Raises:
        UsageError: unknown, or not on this machine.
    """
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda:0" if cuda else "mps" if mps else "cpu"
    kind, colon, index = wanted.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}
    if kind not in count or (colon and not (kind == "cuda" and index.isdecimal())):
        msg = f"unknown device {wanted!r}: one of auto, cpu, cuda, cuda:N, mps"
        raise UsageError(msg)
    if int(index or 0) >= count[kind]:
        msg = f"device {wanted!r} is not on this machine: use --device cpu or auto"
        raise UsageError(msg)
    return wanted


def has_native_bf16() -> bool:
    """Whether this CPU multiplies bf16 itself (AVX512-BF16 or AMX); False where unknown."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return False
    flags = info.read_text(errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags


def point_runtime(
    network: Vista3D,
    window: tuple[int, int, int],
    runtime: Runtime,
    classes: ClassPrompts | None = None,
) -> PointRuntime:
    """The point branch on the device, in the precision and by the engine of a runtime.

    Args:
        network: eval mode.
        window: voxels that the encoder sees.
        runtime: of the automatic branch.
        classes: whose prompts are answered in the same windows.
    """
    from vista3d.inference.runtimes.points import PointRuntime

    compiled = None
    if runtime.name == "openvino":
        from vista3d.inference.runtimes.openvino import CompiledPath, OpenVINORuntime

        assert isinstance(runtime, OpenVINORuntime)
        compiled = functools.partial(
            CompiledPath, network=network, window=window, precision=runtime.precision,
            weights=runtime.weights,
        )  # fmt: skip
    return PointRuntime(network, runtime.device, runtime.precision, compiled, classes)


def choose_runtime(
    network: Vista3D,
    window: tuple[int, int, int],
    *,
    device: str = "auto",
    runtime: str = "auto",
    precision: str = "auto",
    weights: Path | None = None,
) -> Runtime:
    """Build the runtime for a device.

    "auto" precision is bf16 on CPUs that have it natively, fp16 on CUDA, fp32 elsewhere. "auto"
    runtime is OpenVINO on a CPU where it is installed, PyTorch elsewhere: on 2 cores with AMX a
    96^3 window of `mini` takes 0.7 s in bf16 (PyTorch 2.1 s) and 2.1 s in fp32 (4.5 s).

    Args:
        network: eval mode; an accelerator takes it over.
        window: voxels of a window.
        device: see `choose_device`.
        runtime: "auto", "torch", "openvino".
        precision: "auto", "fp32", "bf16", "fp16".
        weights: file that the network was loaded from, which names its converted copy.

    Raises:
        UsageError: a combination that does not exist.
    """
    from vista3d.inference.runtimes.pytorch import TorchRuntime

    place = choose_device(device)
    if precision == "auto":
        chosen: Precision = "fp32"
        if place.startswith("cuda"):
            chosen = "fp16"
        elif place == "cpu" and has_native_bf16():
            chosen = "bf16"
    elif precision in ("fp32", "bf16", "fp16"):
        chosen = precision  # type: ignore[assignment]
    else:
        msg = f"unknown precision {precision!r}: one of auto, fp32, bf16, fp16"
        raise UsageError(msg)
    installed = importlib.util.find_spec("openvino") is not None
    if runtime == "auto":
        runtime = "openvino" if place == "cpu" and installed else "torch"
    if runtime == "torch":
        return TorchRuntime(network, place, chosen)
    if runtime != "openvino":
        msg = f"unknown runtime {runtime!r}: one of auto, torch, openvino"
        raise UsageError(msg)
    if place != "cpu" or not installed:
        msg = "runtime openvino needs --device cpu and `pip install vista3d[cpu]`"
        raise UsageError(msg)
    from vista3d.inference.runtimes.openvino import OpenVINORuntime

    return OpenVINORuntime(network, window, chosen, weights)
