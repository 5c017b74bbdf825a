"""A MAISI checkpoint directory: networks of MONAI, built from its config and filled strictly.

    config.json                         the network config that MONAI publishes beside the weights
                                        (config_maisi3d-rflow.json or -ddpm.json, unchanged)
    autoencoder.safetensors or .pt      weights of `autoencoder_def`
    diffusion_unet.safetensors or .pt   weights of `diffusion_unet_def`
    controlnet.safetensors or .pt       weights of `controlnet_def`

A .pt file is read with `weights_only=True`: nothing in it is executed. The config names classes by
`_target_`; only those of `_CLASSES` are built, and no expression in it is evaluated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vista3d.errors import WeightsError

_NETWORKS = "monai.apps.generation.maisi.networks."
_CLASSES = {
    "autoencoder_def": (_NETWORKS + "autoencoderkl_maisi", "AutoencoderKlMaisi"),
    "diffusion_unet_def": (_NETWORKS + "diffusion_model_unet_maisi", "DiffusionModelUNetMaisi"),
    "controlnet_def": (_NETWORKS + "controlnet_maisi", "ControlNetMaisi"),
}
_SCHEDULERS = ("RFlowScheduler", "DDPMScheduler")
_INSTALL = "MAISI's networks come with MONAI and einops: pip install 'vista3d[train]'"
_WRAPPERS = ("unet_state_dict", "controlnet_state_dict", "autoencoder_state_dict")
"""Keys under which the published .pt files keep the weights."""


SPLITS = 16
"""MONAI's default of `num_splits`."""


@dataclass(frozen=True)
class MaisiNetworks:
    """What a directory holds, in evaluation mode on one device.

    Attributes:
        autoencoder: latents [1, C, h, w, d] -> images [1, 1, H, W, D] in [0, 1].
        diffusion: noise or velocity of latents.
        controlnet: label conditioning -> residuals of the diffusion network.
        scheduler: rectified flow or DDPM.
        scale_factor: what latents were multiplied by in training.
        stride: image voxels per latent voxel.
        multiple: every side of the image must be a multiple of this, so that the networks can
            halve it and MONAI can split its convolutions evenly: a remainder would be cut off.
        least: voxels of the shortest side. Splits of 3 latent voxels or fewer are wrong in MONAI:
            their overlap starts before the tensor does.
    """

    autoencoder: nn.Module
    diffusion: nn.Module
    controlnet: nn.Module
    scheduler: Any
    scale_factor: float
    stride: int
    multiple: int
    least: int


def load_maisi(folder: Path, device: torch.device) -> MaisiNetworks:
    """Build and fill the networks of a directory.

    Raises:
        WeightsError: MONAI or a file is missing, a class is not MAISI's, or weights do not fit.
    """
    config = _read_config(folder / "config.json")
    networks, scale = {}, config.get("scale_factor")
    for key in _CLASSES:
        network = _build(config, key, device)
        path = _weights_path(folder, key.removesuffix("_def"))
        state, stored = _read_weights(path)
        scale = stored if scale is None else scale
        _fill(network, state, path)
        networks[key] = network.to(device).eval().requires_grad_(False)
    if scale is None:
        msg = f"{folder}: no scale_factor in config.json or in diffusion_unet.pt; add it to config"
        raise WeightsError(msg)
    stride = 2 ** (len(config["autoencoder_def"]["num_channels"]) - 1)
    deeper = 2 ** (len(config["diffusion_unet_def"]["num_channels"]) - 1)
    splits = int(config["autoencoder_def"].get("num_splits", SPLITS))
    return MaisiNetworks(
        networks["autoencoder_def"],
        networks["diffusion_unet_def"],
        networks["controlnet_def"],
        _scheduler(config),
        float(scale),
        stride,
        stride * math.lcm(deeper, splits),
        stride * splits * 4 if splits > 1 else stride,
    )


def _read_config(path: Path) -> dict[str, Any]:
    """The JSON with its "@name" references to top-level values resolved."""
    if not path.is_file():
        msg = (
            f"{path} is missing: a MAISI directory holds config.json and the weights autoencoder, "
            "diffusion_unet and controlnet (.safetensors or .pt). None are shipped with vista3d"
        )
        raise WeightsError(msg)
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path} is not JSON: {error}"
        raise WeightsError(msg) from None
    missing = [key for key in (*_CLASSES, "noise_scheduler") if not isinstance(raw.get(key), dict)]
    if missing:
        msg = f"{path} lacks {', '.join(missing)}: take MONAI's config_maisi3d-*.json unchanged"
        raise WeightsError(msg)

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolved(v) for key, v in value.items()}
        if isinstance(value, str) and value.startswith("@"):
            if value[1:] not in raw:
                msg = f"{path} refers to {value!r}, which it does not define"
                raise WeightsError(msg)
            return raw[value[1:]]
        return value

    return {key: resolved(value) for key, value in raw.items()}


def _arguments(config: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    """Constructor arguments of one entry, once its class is known to be allowed."""
    arguments = dict(config[key])
    target = str(arguments.pop("_target_", allowed[0]))
    if target.rpartition(".")[2] not in allowed:
        msg = f"{key} names {target!r}: only {' or '.join(allowed)} of MONAI is built"
        raise WeightsError(msg)
    return arguments


def _build(config: Mapping[str, Any], key: str, device: torch.device) -> nn.Module:
    """One network of random weights.

    Flash attention needs CUDA, and half-precision group norms serve autocast: both go on a CPU.
    """
    module, name = _CLASSES[key]
    arguments = _arguments(config, key, (name,))
    if device.type != "cuda":
        arguments |= {
            flag: False for flag in ("use_flash_attention", "norm_float16") if flag in arguments
        }
    try:
        network: nn.Module = getattr(_monai(module), name)(**arguments)
    except ImportError as error:
        raise WeightsError(_INSTALL) from error
    except (TypeError, ValueError) as error:
        msg = f"{key} of config.json does not build {name}: {error}"
        raise WeightsError(msg) from None
    return network


def _scheduler(config: Mapping[str, Any]) -> Any:
    arguments = dict(config["noise_scheduler"])
    name = str(arguments.get("_target_", _SCHEDULERS[0])).rpartition(".")[2]
    arguments = _arguments(config, "noise_scheduler", _SCHEDULERS)
    return getattr(_monai("monai.networks.schedulers"), name)(**arguments)


def _monai(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise WeightsError(_INSTALL) from error


def _weights_path(folder: Path, name: str) -> Path:
    for suffix in (".safetensors", ".pt"):
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    msg = f"{folder / name}.safetensors (or .pt) is missing"
    raise WeightsError(msg)


def _read_weights(path: Path) -> tuple[dict[str, Tensor], float | None]:
    """State dict, and the scale factor where the file has one."""
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        scale = metadata.get("scale_factor")
        return state, None if scale is None else float(scale)
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        msg = (
            f"{path} holds more than tensors and is not read ({type(error).__name__}): save its "
            "state dict as .safetensors on a machine that trusts it"
        )
        raise WeightsError(msg) from error
    scale = content.get("scale_factor")
    inner = next((content[key] for key in _WRAPPERS if content.get(key) is not None), content)
    state = {key: value for key, value in inner.items() if isinstance(value, Tensor)}
    state.pop("scale_factor", None)
    return state, None if scale is None else float(scale)


def _fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        problem = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        msg = f"{path} does not fit {type(network).__name__} of its config.json: {problem[:300]}"
        raise WeightsError(msg) from None
