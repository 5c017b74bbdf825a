"""Boxes around what is worth segmenting."""

from __future__ import annotations

import numpy as np

Box = tuple[slice, slice, slice]

_COARSE = 6.0
"""mm between the voxels looked at when the body is searched: 1/64 of the work at 1.5 mm."""


def foreground_box(array: np.ndarray, margin: int) -> Box:
    """Bounding box of values > 0 plus `margin` voxels, clipped (MONAI's CropForeground).

    An image without such values keeps its whole extent; MONAI returns an empty one and crashes.
    """
    return _box(array > 0, margin, array.shape, 1)


def body_box(array: np.ndarray, spacing: tuple[float, float, float], margin: int) -> Box:
    """Box of the patient: connected tissue above -400 HU, without the far parts of the table.

    Every component of at least 2% of the largest counts, so that both legs or an arm stay.
    """
    import cc3d

    step = max(1, round(_COARSE / max(spacing)))
    tissue = np.asfortranarray(array[::step, ::step, ::step] > -400)
    if not tissue.any():
        return _box(tissue, margin, array.shape, step)
    components, count = cc3d.connected_components(tissue, connectivity=6, return_N=True)
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    sizes[0] = 0
    large = sizes >= 0.02 * sizes.max()
    return _box(large[components], margin, array.shape, step)


def _box(mask: np.ndarray, margin: int, shape: tuple[int, ...], step: int) -> Box:
    if not mask.any():
        i, j, k = (slice(0, size) for size in shape)
        return i, j, k
    box = []
    for axis, size in enumerate(shape):
        hits = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low = int(hits[0]) * step - margin - (step - 1)
        high = int(hits[-1]) * step + 1 + margin + (step - 1)
        box.append(slice(max(0, low), min(size, high)))
    i, j, k = box
    return i, j, k
