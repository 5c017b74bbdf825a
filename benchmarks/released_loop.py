"""The released training loop, restated from MONAI parts (facts 3.1-3.5).

Per patch, as `train.py` of the release does it: a whole scan is read, cropped to its foreground,
resampled and windowed for two random patches; prompts are drawn from a label map object by object;
with clicks, the whole network runs, and the optimiser steps, once for each of five rounds; the loss
is a Python loop over objects. Left out, in the release's favour: pseudo-labels and supervoxels,
which it also reads and resamples, its gradient scaler, and its printing.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping
from itertools import cycle

import torch
from monai.apps.vista3d.sampler import MERGE_LIST, sample_prompt_pairs
from monai.losses import DiceCELoss
from monai.networks.nets import vista3d132
from monai.transforms import (
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    LoadImaged,
    MapLabelValued,
    Orientationd,
    RandCropByLabelClassesd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSimulateLowResolutiond,
    RandZoomd,
    ScaleIntensityRanged,
    Spacingd,
    SpatialPadd,
)
from torch import Tensor, nn
from torch.nn import functional as F

from vista3d.network.config import OFFICIAL, NetworkConfig
from vista3d.network.vista3d import Vista3D
from vista3d.training.data.case import Case
from vista3d.training.export import INTENSITY

ROUNDS = 5
MAX_POINT = 3
BORDER = 10
"""Voxels at the patch's faces, along the first two axes, where no correction is clicked."""


class Restated(nn.Module):
    """Our network behind the call of the released one, for sizes that MONAI does not build."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.network = Vista3D(config)

    def forward(
        self,
        image: Tensor,
        point_coords: Tensor | None = None,
        point_labels: Tensor | None = None,
        class_vector: Tensor | None = None,
        prompt_class: Tensor | None = None,
    ) -> Tensor:
        """As `monai.networks.nets.VISTA3D`: logits [B, 1, H, W, D]."""
        if class_vector is not None:
            return self.network.forward_classes(image, class_vector[:, 0])
        assert point_coords is not None
        assert point_labels is not None
        assert prompt_class is not None
        feature = self.network.point_features(image)
        return self.network.point_logits(feature, point_coords, point_labels, prompt_class[:, 0])


def transforms(spacing: float, patch: int, mapping: Mapping[int, int]) -> Compose:
    """Files -> two patches, as in all 25 lists of the release (facts 3.2)."""
    both, shape = ("image", "label"), (patch,) * 3
    modes = {"mode": ("trilinear", "nearest"), "prob": 0.2}
    return Compose(
        [
            LoadImaged(both),
            EnsureChannelFirstd(both),
            MapLabelValued("label", list(mapping), list(mapping.values())),
            CropForegroundd(both, "image", margin=10, allow_smaller=True),
            Spacingd(both, (spacing,) * 3, mode=("bilinear", "nearest"), align_corners=True),
            ScaleIntensityRanged("image", *INTENSITY, 0.0, 1.0, clip=True),
            Orientationd(both, axcodes="RAS"),
            SpatialPadd(both, shape),
            RandCropByLabelClassesd(
                both, "label", shape, num_classes=133, num_samples=2, warn=False
            ),
            RandZoomd(both, min_zoom=0.8, max_zoom=1.2, **modes),
            RandSimulateLowResolutiond("image", prob=0.2, zoom_range=(0.3, 1)),
            RandGaussianSmoothd("image", (0.5, 1), (0.5, 1), (0.5, 1), prob=0.2),
            RandScaleIntensityd("image", 0.1, prob=0.2),
            RandShiftIntensityd("image", 0.1, prob=0.2),
            RandGaussianNoised("image", prob=0.2, std=0.2),
        ]
    )


class ReleasedLoop:
    """Network, optimiser and data of the released loop."""

    def __init__(
        self, config: NetworkConfig, cases: list[Case], spacing: float, patch: int,
        *, clicks: bool, autocast: bool,
    ) -> None:  # fmt: skip
        """Ready to learn.

        Args:
            config: sizes of the network.
            cases: with scans and labels.
            spacing: mm.
            patch: voxels per side.
            clicks: stage 2 (clicks) or stage 3 (class prompts).
            autocast: bf16 where the release, on a GPU, has fp16; else fp32.
        """
        torch.manual_seed(0)
        random.seed(0)
        self.clicks, self.autocast = clicks, autocast
        official = config == OFFICIAL
        self.network = vista3d132(in_channels=1) if official else Restated(config)
        frozen = ("up_layers_auto.", "class_head.") if clicks else (
            "image_encoder.encoder.", "up_layers.", "point_head.",
        )  # fmt: skip
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(not any(part in name for part in frozen))
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=2e-5, weight_decay=1e-5)
        self.loss = DiceCELoss(
            sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5, include_background=False
        )
        self._cases = cycle(cases)
        self.spacing, self.patch = spacing, patch

    def draw(self) -> Iterator[tuple[Tensor, Tensor, list[int]]]:
        """The patches of the next scan: image and labels [1, 1, H, W, D], and what is annotated."""
        case = next(self._cases)
        prepare = transforms(self.spacing, self.patch, case.mapping)
        for item in prepare({"image": str(case.image), "label": str(case.label)}):
            image, labels = item["image"].as_tensor(), item["label"].as_tensor()
            yield image[None].float(), labels[None].int(), sorted(case.annotated)

    def learn(self, image: Tensor, labels: Tensor, annotated: list[int]) -> int:
        """All iterations on one patch; returns the number of prompts."""
        ids, points, marks, prompts = sample_prompt_pairs(
            labels,
            annotated,
            max_foreprompt=4 if self.clicks else 32,
            max_backprompt=0 if self.clicks else 4,
            max_point=MAX_POINT,
            drop_label_prob=1 if self.clicks else 0,
            drop_point_prob=0 if self.clicks else 1,
        )
        if prompts is None:
            return 0
        for number in range(ROUNDS if self.clicks else 1):
            self.optimiser.zero_grad()
            with self._precision():
                out = self.network(
                    image, point_coords=points, point_labels=marks,
                    class_vector=ids, prompt_class=prompts,
                ).float()  # fmt: skip
            targets = [self._target(labels, int(c)) for c in prompts[:, 0]]
            loss = torch.stack([self.loss(out[[i]], t) for i, t in enumerate(targets)]).mean()
            if self.clicks and number + 1 < ROUNDS:
                points, marks = next_points(out, targets, points, marks)
            loss.backward()
            self.optimiser.step()
        return len(prompts)

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.autocast)

    def _target(self, labels: Tensor, class_id: int) -> Tensor:
        """[1, 1, H, W, D] float: organs contain their tumours."""
        target = labels == class_id
        for part in MERGE_LIST.get(class_id, []):
            target = target | (labels == part)
        return target.float()


def next_points(
    logits: Tensor, targets: list[Tensor], points: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """One click on what each object misses and one on what it has too much (facts 3.5)."""
    more_points, more_labels = [], []
    for row, target in enumerate(targets):
        probability = torch.sigmoid(logits[row : row + 1].detach())
        missing = (target > 0) & (probability < 0.5)
        extra = (target == 0) & (probability > 0.5)
        picked = [_random_voxel(_eroded(region)) for region in (missing, extra)]
        more_points.append(
            torch.stack([torch.zeros(3, dtype=torch.long) if p is None else p for p in picked])
        )
        marks = [-1 if p is None else sign for p, sign in zip(picked, (1, 0), strict=True)]
        more_labels.append(torch.tensor(marks))
    return (
        torch.cat([points, torch.stack(more_points)], 1),
        torch.cat([labels, torch.stack(more_labels)], 1),
    )


def _eroded(region: Tensor) -> Tensor:
    """3 x 3 x 3 erosion, outside counting as inside, without the border of the first two axes."""
    padded = F.pad(region.float(), (1,) * 6, value=1.0)
    kept = F.conv3d(padded, torch.ones(1, 1, 3, 3, 3))[0, 0] > 26.5
    inner = torch.zeros_like(kept)
    inner[BORDER:-BORDER, BORDER:-BORDER] = kept[BORDER:-BORDER, BORDER:-BORDER]
    return inner


def _random_voxel(region: Tensor) -> Tensor | None:
    voxels = torch.nonzero(region)
    return voxels[random.randrange(len(voxels))] if len(voxels) else None
