"""The released preprocessing of evaluations, and its inverse (facts 2.1, "R-eval").

Crop to HU > 0 with a margin of 10 voxels of the scan, resample to the model's spacing (labels by
nearest voxel), RAS by swaps and flips. Zero-shot evaluations do not crop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vista3d.evaluation.scan import Scan
from vista3d.inference.automatic import intensity, pad_patch
from vista3d.inference.interactive.cache import WindowCache
from vista3d.inference.interactive.placing import surrounding
from vista3d.inference.interactive.pointing import CACHE_BYTES
from vista3d.inference.windows import Slices, Triple, WindowGrid, clip, importance
from vista3d.network.point_head import ImageTokens
from vista3d.volume import Volume, normalise, prepare
from vista3d.volume.crop import foreground_box
from vista3d.volume.prepare import ModelGrid, labels_to_model, restore_labels

MARGIN = 10
OVERLAP = 0.625
ABSENT = -9999.0
"""Logit that a window gives for an object without a click in it (facts 2.4)."""


@dataclass(frozen=True, eq=False)
class OfficialGrid:
    """A scan on the grid that the released scripts evaluate on.

    Attributes:
        scan: with the model.
        box: crop of the scan.
        hu: [h, w, d] float32.
        truth: [h, w, d], the data set's own label values.
        grid: of the cropped scan and of the model.
    """

    scan: Scan
    box: Slices
    hu: np.ndarray
    truth: np.ndarray
    grid: ModelGrid

    @classmethod
    def of(cls, scan: Scan, *, crop: bool) -> OfficialGrid:
        """Prepare a scan; `crop` as every protocol but the zero-shot one does."""
        cropped, box = cropped_volume(scan.volume) if crop else (scan.volume, _whole(scan.volume))
        hu, grid = prepare(cropped, scan.model.meta.spacing, crop="none")
        return cls(scan, box, hu, labels_to_model(scan.labels[box], grid), grid)

    @property
    def shape(self) -> Triple:
        """Of the model grid."""
        i, j, k = self.hu.shape
        return i, j, k

    @cached_property
    def windows(self) -> WindowGrid:
        """Windows that the point branch answers in."""
        return WindowGrid.over(self.shape, self.scan.model.meta.click_window, OVERLAP)

    def starts(self) -> Iterator[Triple]:
        """Start of every window in the volume; negative where the volume is smaller."""
        for start in self.windows.starts:
            i, j, k = (s - b for s, b in zip(start, self.windows.before, strict=True))
            yield i, j, k

    def window(self, values: np.ndarray, start: Triple) -> np.ndarray:
        """The part of [h, w, d] values in a window; 0 beyond the volume."""
        inside, local = clip(start, self.windows.window, self.shape)
        out = np.zeros(self.windows.window, values.dtype)
        out[local] = values[inside]
        return out

    @cached_property
    def weights(self) -> np.ndarray:
        """[h, w, d] float32: sum of the weights of all windows at a voxel."""
        total = np.zeros(self.shape, np.float32)
        weight = importance(self.windows.window, "gaussian")
        for start in self.starts():
            inside, local = clip(start, self.windows.window, self.shape)
            total[inside] += weight[local]
        return total

    def tokens(self, start: Triple) -> ImageTokens:
        """Image tokens of a window, with the context that the model's encoder was trained with."""
        held = self._cache.get(start)
        if held is None:
            meta = self.scan.model.meta
            outer, inner = surrounding(start, meta.click_window, meta.click_context, self.shape)
            held = self.scan.points.view(self.image(outer, meta.click_context), inner)
            self._cache.put(start, held)
        return held.image

    @cached_property
    def _cache(self) -> WindowCache:
        return WindowCache(CACHE_BYTES)

    @cached_property
    def _scale(self) -> tuple[float, float]:
        return intensity(self.scan.model.meta, self.hu)

    def image(self, start: Triple, window: Triple) -> np.ndarray:
        """Scaled intensities of a window, air around the volume."""
        inside, local = clip(start, window, self.shape)
        patch = pad_patch(self.hu[inside], local, window, "air")
        return normalise(patch, *self._scale)

    def restore(self, mask: np.ndarray) -> np.ndarray:
        """Bool [h, w, d] -> the scan's own grid by nearest voxel, empty outside the crop."""
        return embedded(restore_labels(mask, self.grid), self.box, self.scan.volume)


class Blend:
    """Weighted mean of window logits of one object; a window that says nothing says `ABSENT`.

    Args:
        grid: of the scan.
    """

    def __init__(self, grid: OfficialGrid) -> None:
        self._grid = grid
        self._weight = importance(grid.windows.window, "gaussian")
        self._sum = np.zeros(grid.shape, np.float32)
        self._said = np.zeros(grid.shape, np.float32)

    def add(self, start: Triple, logits: np.ndarray) -> None:
        """Add the logits [window] of a window."""
        inside, local = clip(start, self._grid.windows.window, self._grid.shape)
        weight = self._weight[local]
        self._sum[inside] += weight * logits[local]
        self._said[inside] += weight

    def logits(self) -> np.ndarray:
        """[h, w, d] float32."""
        total = self._grid.weights
        silent = total - self._said
        # A window weighs 1e-4 of the total at least; less is the rounding of the two sums.
        silent[silent < 1e-5 * total] = 0
        return np.asarray((self._sum + np.float32(ABSENT) * silent) / total)


def cropped_volume(volume: Volume) -> tuple[Volume, Slices]:
    """MONAI's CropForeground on raw HU: the crop, and its box."""
    box = foreground_box(np.asarray(volume.array), MARGIN)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [float(part.start) for part in box]
    return Volume(volume.array[box], affine, volume.meta), box


def embedded(mask: np.ndarray, box: Slices, volume: Volume) -> np.ndarray:
    """Bool [box] -> bool [i, j, k] of the scan."""
    out = np.zeros(volume.array.shape, bool)
    out[box] = mask
    return out


def _whole(volume: Volume) -> Slices:
    i, j, k = (slice(0, n) for n in volume.array.shape)
    return i, j, k
