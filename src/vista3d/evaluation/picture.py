"""Prediction and truth of one structure in three planes: what both have, what is missing, what is
too much. Each plane is the one with most errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vista3d.inference.windows import Slices
from vista3d.results.preview import BACKGROUND, SOFT_TISSUE
from vista3d.volume import Volume, bounding_box
from vista3d.volume.writers import atomic_path

if TYPE_CHECKING:
    from PIL import Image

AROUND_MM = 30.0
"""Shown around truth and prediction."""
BOTH, MISSING, EXTRA = 1, 2, 3
COLOURS = {BOTH: (88, 196, 132), MISSING: (78, 148, 240), EXTRA: (240, 128, 62)}
"""Green, blue and orange keep apart for colour-blind eyes, too."""
WIDTH, HEIGHT, GAP = 1000, 320, 8
"""Pixels: of all planes side by side at most, and between them."""


def draw_errors(volume: Volume, truth: np.ndarray, found: np.ndarray) -> Image.Image | None:
    """Axial, coronal and sagittal plane side by side, at one scale.

    Args:
        volume: the scan.
        truth: bool [i, j, k].
        found: the same, the prediction.

    Returns:
        An RGB picture; None where neither mask has a voxel.
    """
    from PIL import Image

    from vista3d.results.picture.panel import draw_panel
    from vista3d.results.picture.planes import cut_planes

    box = bounding_box(truth | found)
    if box is None:
        return None
    part = _around(box, volume)
    truth, found = truth[part], found[part]
    labels = np.select([truth & found, truth, found], [BOTH, MISSING, EXTRA]).astype(np.uint8)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [float(edge.start) for edge in part]
    crop = Volume(np.asarray(volume.array[part]), affine)
    drawn = [number for number in COLOURS if (labels == number).any()]
    planes = cut_planes(labels, crop, _most_errors(labels), drawn)
    wide = sum(plane.millimetres[0] for plane in planes)
    tall = max(plane.millimetres[1] for plane in planes)
    scale = min((WIDTH - 2 * GAP) / wide, HEIGHT / tall)
    sizes = [
        (max(1, round(width * scale)), max(1, round(height * scale)))
        for width, height in (plane.millimetres for plane in planes)
    ]
    whole = Image.new("RGB", (sum(w for w, _ in sizes) + 2 * GAP, max(h for _, h in sizes)))
    whole.paste(BACKGROUND, (0, 0, *whole.size))
    x = 0
    for number, (plane, size) in enumerate(zip(planes, sizes, strict=True)):
        panel = draw_panel(plane, size, COLOURS, SOFT_TISSUE, scale_bar=number == 0)
        whole.paste(panel, (x, (whole.height - size[1]) // 2))
        x += size[0] + GAP
    return whole


def write_picture(path: Path, picture: Image.Image) -> None:
    """As JPEG, atomically."""
    with atomic_path(path) as temporary:
        picture.save(temporary, "JPEG", quality=88, subsampling=0)


def _most_errors(labels: np.ndarray) -> tuple[int, int, int]:
    """Per axis the plane with most wrong voxels, or most of the structure where none is wrong."""
    wrong = labels > BOTH
    shown = wrong if wrong.any() else labels == BOTH
    i, j, k = (
        int(shown.sum(tuple(other for other in range(3) if other != axis)).argmax())
        for axis in range(3)
    )
    return i, j, k


def _around(box: Slices, volume: Volume) -> Slices:
    """A box with its surroundings, within the scan."""
    parts = []
    for edge, step, size in zip(box, volume.geometry.spacing, volume.array.shape, strict=True):
        margin = round(AROUND_MM / step)
        parts.append(slice(max(0, edge.start - margin), min(size, edge.stop + margin)))
    return parts[0], parts[1], parts[2]
