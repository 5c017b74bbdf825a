"""SAM as a teacher (paper Alg. 2): image encoder and the mask decoder's upscaling, no prompts.

Every slice of the three views becomes 32 channels; the three views are summed. Slices are encoded
in batches and added to a volume of reduced resolution at once: the features of the scan's own
voxels (10 GB for 512 x 512 x 300) never exist.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vista3d.errors import WeightsError
from vista3d.supervoxels.resampling import taps
from vista3d.supervoxels.teacher import Progress

if TYPE_CHECKING:
    from transformers import SamModel

HU = (-1000.0, 1000.0)
"""Becomes SAM's 0 to 255 (facts 4)."""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of SAM's three colour channels, over 0 to 255."""
HUB = "facebook"
"""Owner of the published checkpoints: sam-vit-base, sam-vit-large, sam-vit-huge (the paper's)."""
Precision = Literal["fp32", "bf16", "fp16"]
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_INSTALL = "the SAM teacher needs transformers: pip install 'vista3d[supervoxels]'"


@dataclass(frozen=True)
class SamTeacher:
    """A Segment Anything model.

    Attributes:
        model: `transformers.SamModel`; only its image encoder and the upscaling are run.
        name: for people.
        batch: slices encoded at once. A batch of 8 needs 4.5 GB for the attention of ViT-H in
            half precision.
        compactness: as in the released code (facts 4).
        smoothing_mm: as there, 3 voxels, of a scan of 0.8 mm; here the same along all axes.
    """

    model: SamModel = field(repr=False)
    name: str = "sam"
    batch: int = 8
    compactness: float = 0.01
    smoothing_mm: float = 2.4

    def features(
        self,
        hu: np.ndarray,
        spacing: tuple[float, float, float],
        shape: tuple[int, int, int],
        progress: Progress | None = None,
    ) -> Tensor:
        """See `Teacher`: the channels of SAM's upscaled embedding, 32 in the published models."""
        total: Tensor | None = None
        done, slices = 0, sum(hu.shape)
        for axis in range(3):
            stack = np.moveaxis(hu, axis, 0)
            along = taps(stack.shape[0], shape[axis])
            rest = [n for other, n in enumerate(shape) if other != axis]
            for start in range(0, len(stack), self.batch):
                part = slice(start, start + self.batch)
                values = np.ascontiguousarray(stack[part], np.float32)
                found = self.encode(torch.from_numpy(values), (rest[0], rest[1]))
                if total is None:
                    total = found.new_zeros((found.shape[1], *shape))
                _add(total.movedim(axis + 1, 1), found, along[:, part])
                done += len(values)
                if progress is not None:
                    progress(done / slices)
        assert total is not None, "a volume has slices"
        return total

    @torch.no_grad()
    def encode(self, slices: Tensor, shape: tuple[int, int]) -> Tensor:
        """Features of slices.

        Args:
            slices: HU [n, p, q].
            shape: samples wanted along p and q.

        Returns:
            float32 [n, channels, *shape] on the model's device.
        """
        weight = self.model.mask_decoder.upscale_conv1.weight
        pixels = prepare_slices(
            slices.to(weight.device), self.model.config.vision_config.image_size
        )
        embedded = self.model.get_image_embeddings(pixels.to(weight.dtype))
        found = upscale(self.model.mask_decoder, embedded).float()
        # The slice was padded to a square below and on the right.
        side = max(slices.shape[1:])
        rows, columns = (
            taps(size, out, n / side).to(found.device)
            for size, out, n in zip(found.shape[2:], shape, slices.shape[1:], strict=True)
        )
        return rows @ found @ columns.T


def prepare_slices(slices: Tensor, side: int) -> Tensor:
    """HU [n, p, q] -> SAM's input [n, 3, side, side]: window, square, size, colour statistics."""
    low, high = HU
    grey = (slices.float().clamp(low, high) - low) * (255 / (high - low))
    p, q = grey.shape[1:]
    square = F.pad(grey, (0, max(p, q) - q, 0, max(p, q) - p))[:, None]
    resized = F.interpolate(square, (side, side), mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(x, device=slices.device).view(1, 3, 1, 1) for x in (MEAN, STD))
    return (resized - mean) / std


def upscale(decoder: Any, embedded: Tensor) -> Tensor:
    """The mask decoder's upscaling alone: [n, 256, 64, 64] -> [n, 32, 256, 256]."""
    hidden = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(embedded)))
    return decoder.activation(decoder.upscale_conv2(hidden))  # type: ignore[no-any-return]


def load_sam(
    name: str, *, device: str = "cpu", precision: Precision = "fp32", batch: int | None = None
) -> SamTeacher:
    """Load a checkpoint in the layout of `transformers`.

    Args:
        name: a folder; a repository of the Hugging Face hub, found through HF_HOME and fetched
            unless HF_HUB_OFFLINE is set; or sam-vit-base, sam-vit-large, sam-vit-huge.
        device: of torch.
        precision: of weights and slices. bf16 is for devices that multiply it themselves: a CPU
            that emulates it is 200 times slower than in fp32.
        batch: slices encoded at once; by default 1 on a CPU, 8 elsewhere.

    Raises:
        WeightsError: transformers is missing, or the checkpoint is, or is no SAM.
    """
    model = _load(name).eval().requires_grad_(False)
    short = Path(name).name
    one = device.startswith("cpu")
    return SamTeacher(
        model.to(device=device, dtype=_TYPES[precision]),
        short,
        batch or (1 if one else 8),
    )


def _load(name: str) -> Any:
    # This house sends no telemetry; the hub client would, unless its variable is set before import.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from transformers import AutoConfig, SamModel
    except ImportError as error:
        raise WeightsError(_INSTALL) from error
    folder = Path(name).expanduser()
    local = folder.is_dir()
    place = str(folder) if local else name if "/" in name else f"{HUB}/{name}"
    try:
        config = AutoConfig.from_pretrained(place, local_files_only=local)
        if config.model_type != "sam":
            msg = f"{place} is a {config.model_type} model: the teacher must be a SAM checkpoint"
            raise WeightsError(msg)
        # Only safetensors: a pickle can run code.
        model, report = SamModel.from_pretrained(
            place, local_files_only=local, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        msg = (
            f"SAM weights {place} could not be loaded ({reason}): give a folder with config.json "
            "and model.safetensors as --teacher, download facebook/sam-vit-huge once with network "
            "access (HF_HOME says where to; HF_HUB_OFFLINE forbids it), or use --teacher intensity"
        )
        raise WeightsError(msg) from error
    used = ("vision_encoder.", "mask_decoder.upscale_")
    missing = sorted(key for key in report["missing_keys"] if key.startswith(used))
    if missing:
        msg = f"{place} lacks {len(missing)} weights of SAM, {missing[0]} for one: it is damaged"
        raise WeightsError(msg)
    return model


def _add(total: Tensor, found: Tensor, weight: Tensor) -> None:
    """Add slices to the planes that they lie near.

    Args:
        total: [C, planes, rows, columns], changed.
        found: [n, C, rows, columns].
        weight: [planes, n].
    """
    near = weight.any(1).nonzero()[:, 0]
    first, last = int(near[0]), int(near[-1]) + 1
    part = weight[first:last].to(found.device)
    total[:, first:last] += torch.einsum("sn,ncpq->cspq", part, found)
