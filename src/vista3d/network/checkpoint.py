"""Checkpoints: ours (safetensors with metadata) and the published ones. Nothing is unpickled."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from vista3d.errors import WeightsError
from vista3d.network.config import NetworkConfig
from vista3d.network.layouts import config_of, to_bundle, unwrap
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D

_KEY = "vista3d"

CT_LICENCE = (
    "NVIDIA Open Model License (weights of NV-Segment-CT / VISTA3D). The model's own pages "
    "contradict each other on non-commercial terms: read the licence beside the weights before use."
)
CTMR_LICENCE = "NVIDIA OneWay Non-Commercial License (weights of NV-Segment-CTMR)."


def save_checkpoint(
    path: Path,
    state: Mapping[str, Tensor],
    meta: CheckpointMeta,
    dtype: Literal["float16", "float32"] = "float16",
) -> None:
    """Write a safetensors file, atomically.

    Args:
        path: target.
        state: bundle-named tensors.
        meta: stored in the header as JSON.
        dtype: storage of floating tensors.
    """
    from safetensors.torch import save_file

    kind = getattr(torch, dtype)
    tensors = {
        name: (value.to(kind) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in state.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        save_file(tensors, partial, metadata={_KEY: meta.to_json()})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> tuple[Vista3D, CheckpointMeta]:
    """A network in eval mode with fp32 weights, and its metadata.

    Takes our safetensors, and the published .pt, .bin and .safetensors of both layouts with their
    wrappers; a published file gets the released settings as metadata.

    Raises:
        WeightsError: missing, damaged, needs code execution to load, or not a VISTA3D network.
    """
    state, meta = read_state(path)
    if meta is None:
        meta = _published_meta(config_of(state, path.name), path)
    with torch.device("meta"):
        network = Vista3D(meta.config)
    _check_keys(network, state, path.name)
    floats = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    network.load_state_dict(floats, assign=True)
    return network.requires_grad_(False).eval(), meta


def read_state(path: Path) -> tuple[dict[str, Tensor], CheckpointMeta | None]:
    """Bundle-named tensors of a file, and our metadata where it has it."""
    if not path.is_file():
        msg = f"no weights at {path}: give a file, or run `vista3d download official`"
        raise WeightsError(msg)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and value errors alike
        msg = (
            f"{path.name} cannot be loaded as plain tensors ({str(error).splitlines()[0]}): it is "
            "damaged, or needs code execution, which is refused"
        )
        raise WeightsError(msg) from error
    return to_bundle(unwrap(content, path.name)), None


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], CheckpointMeta | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        msg = f"{path.name} is damaged ({error}): download or copy it again"
        raise WeightsError(msg) from error
    if _KEY in metadata:
        return state, CheckpointMeta.from_json(metadata[_KEY], path.name)
    return to_bundle(unwrap(state, path.name)), None


def _check_keys(network: Vista3D, state: Mapping[str, Tensor], source: str) -> None:
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    missing = sorted(expected.keys() - state.keys())
    unexpected = sorted(state.keys() - expected.keys())
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    for what, names in (("lacks", missing), ("has unknown", unexpected), ("misshapes", shapes)):
        if names:
            msg = (
                f"{source} {what} {len(names)} tensors ({', '.join(names[:4])}, ...): it is not a "
                "whole VISTA3D checkpoint"
            )
            raise WeightsError(msg)


def _published_meta(config: NetworkConfig, path: Path) -> CheckpointMeta:
    """The released settings (facts 2.1, 2.3, 13): 1.5 mm, 128^3, the 124 trained classes."""
    untrained = {2, 16, 18, 20, 21, 129, 130, 131}
    return CheckpointMeta(
        name="official",
        config=config,
        spacing=(1.5, 1.5, 1.5),
        window=(128, 128, 128),
        intensity=(-963.8247715525971, 1053.678477684517),
        classes=tuple(i for i in range(1, 133) if i not in untrained),
        licence=CT_LICENCE,
        provenance={"file": path.name, "source": "published weights, converted on load"},
    )


def convert(source: Path, target: Path, dtype: Literal["float16", "float32"] = "float32") -> None:
    """Rewrite a checkpoint: to `.safetensors` with metadata, or to a bundle-layout `.pt`.

    Raises:
        WeightsError: the source cannot be loaded, or the target has another suffix.
    """
    network, meta = load_checkpoint(source)
    if target.suffix == ".safetensors":
        save_checkpoint(target, network.state_dict(), meta, dtype)
    elif target.suffix == ".pt":
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.save(dict(network.state_dict()), partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    else:
        msg = f"{target.name}: convert writes .safetensors (ours) or .pt (bundle layout)"
        raise WeightsError(msg)
