"""A picture to judge supervoxels by: three planes of the CT, every supervoxel in its own colour."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np

from vista3d.results.picture.layout import arrange, canvas_size
from vista3d.results.picture.panel import draw_panel, font
from vista3d.results.picture.planes import cut_planes
from vista3d.results.preview import BACKGROUND, MARGIN, SOFT_TISSUE

if TYPE_CHECKING:
    from PIL import Image

    from vista3d.results.picture.layout import Box
    from vista3d.volume import Volume

_TEXT, _FAINT = (226, 230, 238), (140, 148, 162)
_GOLDEN = 0.618034
"""Steps of the golden ratio around the colour circle: neighbours in number differ in hue."""


def draw_supervoxels(labels: np.ndarray, volume: Volume, teacher: str) -> Image.Image:
    """Draw the planes through the middle of what is not air.

    Args:
        labels: integers [i, j, k] on the grid of `volume`, 0 is air.
        volume: the scan in HU.
        teacher: its name, for the caption.

    Returns:
        An RGB picture in the radiological convention of `vista3d.results.preview`.
    """
    from PIL import Image

    count = int(labels.max(initial=0))
    planes = cut_planes(labels, volume, _middle(labels), range(1, count + 1))
    width_mm, depth_mm = planes[0].millimetres
    boxes, corner = arrange(width_mm, depth_mm, planes[1].millimetres[1])
    size = canvas_size([*boxes, corner])
    canvas = Image.new("RGB", size, BACKGROUND)
    colours = {number: _colour(number) for number in range(1, count + 1)}
    for number, (plane, box) in enumerate(zip(planes, boxes, strict=True)):
        panel = draw_panel(
            plane, (box.width, box.height), colours, SOFT_TISSUE, scale_bar=number == 0
        )
        canvas.paste(panel, (box.x, box.y))
    _write_caption(canvas, corner, _facts(labels, volume, teacher))
    whole = Image.new("RGB", (size[0] + 2 * MARGIN, size[1] + 2 * MARGIN), BACKGROUND)
    whole.paste(canvas, (MARGIN, MARGIN))
    return whole


def _middle(labels: np.ndarray) -> tuple[int, int, int]:
    """The middle of the box around what is not air."""
    middle = []
    for axis in range(3):
        filled = np.flatnonzero(labels.any(tuple(a for a in range(3) if a != axis)))
        middle.append(int(filled[[0, -1]].mean()) if len(filled) else labels.shape[axis] // 2)
    return middle[0], middle[1], middle[2]


def _colour(number: int) -> tuple[int, int, int]:
    hue = number * _GOLDEN % 1
    red, green, blue = colorsys.hls_to_rgb(hue, 0.5 + 0.12 * (number % 3 - 1), 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)


def _facts(labels: np.ndarray, volume: Volume, teacher: str) -> list[str]:
    size = np.bincount(labels.ravel())[1:]
    voxel_ml = float(abs(np.linalg.det(volume.affine[:3, :3]))) / 1000
    lines = [f"{len(size)} supervoxels", f"teacher: {teacher}"]
    if len(size):
        low, middle, high = np.percentile(size, (5, 50, 95)) * voxel_ml
        lines += [f"median {middle:.3g} mL", f"90% within {low:.3g} to {high:.3g} mL"]
    return lines


def _write_caption(canvas: Image.Image, box: Box, lines: list[str]) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        place = (box.x + 8, box.y + 8 + 28 * number)
        draw.text(place, line, _FAINT if number else _TEXT, font(17 if number else 20))
