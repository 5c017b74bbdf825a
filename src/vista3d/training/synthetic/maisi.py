"""CT from a label map with MAISI's networks (Guo et al., WACV 2025; stage 4 of the paper).

The conditional sampling of MONAI's MAISI tutorial: labels as eight binary planes steer a control
network, latents are denoised by rectified flow or DDPM, and the autoencoder decodes them. No
weights are shipped or fetched; `maisi_checkpoint` says what a directory must hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vista3d.errors import UsageError
from vista3d.training.synthetic.body import add_body
from vista3d.training.synthetic.maisi_checkpoint import MaisiNetworks

Array = NDArray[np.float32]

BODY = 200
"""MAISI's id for the body around the structures."""

LAST_CLASS = 132
"""Ids above it mean something else in MAISI (200 is our left mandible): they become body."""

BITS = 8
"""Binary planes of the label condition."""

HU = (-1000.0, 1000.0)
"""What the autoencoder's 0 and 1 stand for."""

CT = 1
"""Class embedding of "ct" in MAISI's modality mapping."""

SPACING_SCALE = 100.0
"""MAISI embeds spacings in mm, and body regions, times 100."""

REGIONS = ((22, 120), (28, 29, 30, 31, 32), (1, 2, 3, 4, 5, 14), (93, 94))
"""Head and neck, thorax, abdomen, pelvis and below: ids that show them."""

WINDOW = 64
"""Latent voxels decoded at once along each axis; more are decoded in overlapping windows."""

STEPS = 30
"""Denoising steps of rectified flow; a DDPM takes all it was trained with."""


def generate(
    networks: MaisiNetworks,
    labels: NDArray[np.integer],
    spacing: tuple[float, float, float],
    seed: int,
    steps: int = STEPS,
) -> Array:
    """Draw a CT.

    Args:
        networks: from `load_maisi`.
        labels: (i, j, k) global class ids, RAS axes; the body around them is added.
        spacing: mm.
        seed: the same seed gives the same CT on the same device.
        steps: of a rectified flow.

    Returns:
        (i, j, k) float32 HU in -1000..1000; air where there is no body.

    Raises:
        UsageError: an empty label map.
    """
    if not labels.any():
        msg = "the label map is empty: MAISI draws what it shows"
        raise UsageError(msg)
    condition = with_body(labels, spacing)
    padded = _padded(condition, networks.multiple, networks.least)
    device = next(networks.diffusion.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad(), torch.autocast(device.type, enabled=device.type == "cuda"):
        latents = _denoise(networks, torch.from_numpy(padded).to(device), spacing, generator, steps)
        image = _decode(networks, latents / networks.scale_factor)
    unit = image[0, 0].float().clamp(0, 1).cpu().numpy()
    low, high = HU
    i, j, k = labels.shape
    hu = (low + (high - low) * unit)[:i, :j, :k]
    return np.asarray(np.where(condition > 0, hu, low), np.float32)


def with_body(
    labels: NDArray[np.integer], spacing: tuple[float, float, float]
) -> NDArray[np.int64]:
    """Class ids of MAISI: 1..132, BODY for everything else inside the skin, 0 for air."""
    # The hull needs one voxel size; the mean of three is within 30% for any CT that MAISI takes.
    filled = add_body(labels, float(np.mean(spacing))).astype(np.int64)
    return np.where(filled > LAST_CLASS, BODY, filled)


def binary_planes(labels: Tensor) -> Tensor:
    """[H, W, D] int64 -> [1, 8, H, W, D] float32: the bits of each id, lowest first."""
    bits = torch.arange(BITS, device=labels.device)
    return ((labels[None] >> bits[:, None, None, None]) & 1)[None].float()


def _padded(labels: NDArray[np.int64], multiple: int, least: int) -> NDArray[np.int64]:
    """Air behind the last voxels up to the next multiple that is long enough."""
    sides = [-(-max(size, least) // multiple) * multiple for size in labels.shape]
    return np.pad(labels, [(0, new - size) for size, new in zip(labels.shape, sides, strict=True)])


def _denoise(
    networks: MaisiNetworks,
    labels: Tensor,
    spacing: tuple[float, float, float],
    generator: torch.Generator,
    steps: int,
) -> Tensor:
    """Noise -> latents [1, C, h, w, d]."""
    device, scheduler = labels.device, networks.scheduler
    small = [size // networks.stride for size in labels.shape]
    channels = int(networks.diffusion.in_channels)  # type: ignore[arg-type]
    latents = torch.randn(1, channels, *small, generator=generator).to(device)
    flows = type(scheduler).__name__ == "RFlowScheduler"
    if flows:
        scheduler.set_timesteps(steps, input_img_size_numel=torch.tensor(small).prod())
    else:
        scheduler.set_timesteps(scheduler.num_train_timesteps)
    planes, extra = binary_planes(labels), _conditions(networks, labels, spacing)
    classes = {"class_labels": extra["class_labels"]} if "class_labels" in extra else {}
    times = [float(t) for t in scheduler.timesteps]
    for now, after in zip(times, [*times[1:], 0.0], strict=True):
        time = torch.tensor([now], device=device)
        down, middle = networks.controlnet(
            x=latents, timesteps=time, controlnet_cond=planes, **classes
        )
        predicted = networks.diffusion(
            x=latents,
            timesteps=time,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            **extra,
        )
        if flows:
            latents, _ = scheduler.step(predicted, now, latents, after)
        else:
            latents, _ = scheduler.step(predicted, int(now), latents, generator)
    return latents


def _conditions(
    networks: MaisiNetworks, labels: Tensor, spacing: tuple[float, float, float]
) -> dict[str, Tensor]:
    """What the diffusion network wants to know beside the labels; depends on its version."""
    network: Any = networks.diffusion
    device = labels.device
    wanted: dict[str, Tensor] = {}
    if network.include_spacing_input:
        wanted["spacing_tensor"] = torch.tensor([spacing], device=device) * SPACING_SCALE
    if network.num_class_embeds is not None:
        wanted["class_labels"] = torch.tensor([CT], device=device)
    shown = set(torch.unique(labels).tolist())
    regions = [n for n, ids in enumerate(REGIONS) if shown & set(ids)] or [1]
    for name, region in (("top", regions[0]), ("bottom", regions[-1])):
        if getattr(network, f"include_{name}_region_index_input"):
            one = torch.zeros(1, len(REGIONS), device=device)
            one[0, region] = SPACING_SCALE
            wanted[f"{name}_region_index_tensor"] = one
    return wanted


def _decode(networks: MaisiNetworks, latents: Tensor) -> Tensor:
    """Latents -> images [1, 1, H, W, D]; windows where they do not fit at once."""
    decode: Any = networks.autoencoder.decode_stage_2_outputs
    if max(latents.shape[2:]) <= WINDOW:
        image: Tensor = decode(latents)
        return image
    from monai.inferers.utils import sliding_window_inference

    stitched: Tensor = sliding_window_inference(  # type: ignore[assignment]
        latents, (WINDOW,) * 3, 1, decode, overlap=0.25, mode="gaussian", device=torch.device("cpu")
    )
    return stitched
