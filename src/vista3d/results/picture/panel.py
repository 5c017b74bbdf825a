"""One plane as a picture: windowed CT, tinted structures, smooth contours, letters, scale bar.

Everything is numpy and Pillow: no display, no plotting library, the same picture everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vista3d.results.picture.planes import Plane

Colour = tuple[int, int, int]

TINT = 0.52
"""Opacity of a structure."""
GLOW = 0.6
"""Share of its colour that does not depend on the CT below: a structure shows on black lung, and
the rest follows the grey value, so that the texture stays readable."""
SUPERSAMPLE = 2
"""The overlay is drawn at twice the size and reduced, which smooths the contours."""
CONTOUR = 3
"""Width of a contour in supersampled pixels, inside the structure: 1.5 in the picture."""
SMALL = 90
"""A panel with a side below this many pixels has no letters along that side."""
RING = 9
"""Radius of the ring of a click in pixels."""
_ADDS, _TAKES = (110, 231, 135), (255, 107, 107)
_SCALE_BARS_MM = (100, 50, 20, 10, 5)
_INK, _HALO = (236, 239, 244), (0, 0, 0)


def draw_panel(
    plane: Plane,
    size: tuple[int, int],
    colours: Mapping[int, Colour],
    window: tuple[float, float],
    *,
    scale_bar: bool = False,
    tint: float = TINT,
) -> Image.Image:
    """Draw one plane at (width, height) in pixels.

    Args:
        plane: what to draw.
        size: of the picture.
        colours: of its labels.
        window: (low, high) in HU.
        scale_bar: whether to draw one.
        tint: opacity of structures within their outlines.
    """
    low, high = window
    grey = np.clip((plane.image - low) / (high - low), 0, 1) * 255
    ct = Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE)
    drawn = enlarge_labels(plane.labels, fine)
    picture = Image.fromarray(_blend(np.asarray(ct), drawn, colours, tint))
    _draw_marks(picture, plane)
    _write_letters(picture, plane)
    if scale_bar:
        _draw_scale(picture, plane)
    return picture


def enlarge_labels(labels: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.int32]:
    """Enlarge a label slice with smooth outlines: [rows, columns] -> [size[1], size[0]].

    Each structure is interpolated as a soft mask; the strongest above 0.5 wins a pixel, so that
    outlines are smooth and structures never overlap.
    """
    width, height = size
    rows, columns = labels.shape
    sy, sx = height / rows, width / columns
    best = np.full((height, width), 0.5, np.float32)
    drawn = np.zeros((height, width), np.int32)
    for label in np.unique(labels[labels > 0]):
        mask = labels == label
        y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        # Three voxels of margin hold the whole support of the smoothing and interpolation.
        top, bottom = int(max(0, (y[0] - 3) * sy)), int(min(height, np.ceil((y[-1] + 4) * sy)))
        left, right = int(max(0, (x[0] - 3) * sx)), int(min(width, np.ceil((x[-1] + 4) * sx)))
        box = (left / sx, top / sy, min(columns, right / sx), min(rows, bottom / sy))
        soft = Image.fromarray(_soften(mask))
        soft = soft.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box)
        value = np.asarray(soft)
        part = (slice(top, bottom), slice(left, right))
        wins = value > best[part]
        best[part] = np.where(wins, value, best[part])
        drawn[part] = np.where(wins, label, drawn[part])
    return drawn


@lru_cache(maxsize=8)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's embedded typeface: no font has to be installed."""
    return ImageFont.load_default(size)


def _soften(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Blur by (1, 6, 1)/8 along both axes: a single voxel keeps 0.56 and stays visible."""
    edged = np.pad(mask.astype(np.float32), 1, mode="edge")
    soft = (edged[:-2] + 6 * edged[1:-1] + edged[2:]) / 8
    smooth = (soft[:, :-2] + 6 * soft[:, 1:-1] + soft[:, 2:]) / 8
    return np.asarray(smooth, np.float32)


def _blend(
    ct: NDArray[np.uint8], drawn: NDArray[np.int32], colours: Mapping[int, Colour], tint: float
) -> NDArray[np.uint8]:
    """CT [h, w] and labels at `SUPERSAMPLE` times its size -> RGB [h, w, 3]."""
    palette = np.zeros((int(drawn.max(initial=0)) + 1, 3), np.float32)
    for label in np.unique(drawn):
        if label:
            palette[label] = colours[int(label)]
    inside = drawn > 0
    rim = _rim(drawn)
    colour = palette[drawn]
    grey = ct[..., None].astype(np.float32)
    fill_alpha = _reduce((inside & ~rim)[..., None] * tint)
    fill = _reduce(colour * (inside & ~rim)[..., None] * tint)
    rim_alpha = _reduce(rim[..., None].astype(np.float32))
    edge = _reduce(colour * rim[..., None])
    tinted = fill * (GLOW + (1 - GLOW) * grey / 255)
    mixed = grey * (1 - fill_alpha - rim_alpha) + tinted + edge
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _reduce(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over blocks of `SUPERSAMPLE` pixels: [2h, 2w, c] -> [h, w, c]."""
    height, width, channels = fine.shape
    blocks = fine.reshape(height // SUPERSAMPLE, SUPERSAMPLE, width // SUPERSAMPLE, SUPERSAMPLE,
                          channels)  # fmt: skip
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _rim(drawn: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels of a structure within `CONTOUR` of another label, along rows or columns."""
    rim = np.zeros(drawn.shape, bool)
    for picture, labels in ((rim, drawn), (rim.T, drawn.T)):
        changes = labels[1:] != labels[:-1]
        for reach in range(CONTOUR):
            length = len(changes) - reach
            if length > 0:
                picture[:length] |= changes[reach:]
                picture[1 + reach :] |= changes[:length]
    return rim & (drawn > 0)


def _draw_marks(picture: Image.Image, plane: Plane) -> None:
    """Clicks as rings with their sign."""
    draw = ImageDraw.Draw(picture)
    rows, columns = plane.labels.shape
    for mark in plane.marks:
        x = (mark.column + 0.5) * picture.size[0] / columns
        y = (mark.row + 0.5) * picture.size[1] / rows
        ink = _ADDS if mark.positive else _TAKES
        for colour, width, grown in ((_HALO, 4, 1), (ink, 2, 0)):
            r, arm = RING + grown, RING - 4 + grown
            draw.ellipse([x - r, y - r, x + r, y + r], outline=colour, width=width)
            draw.line([x - arm, y, x + arm, y], fill=colour, width=width)
            if mark.positive:
                draw.line([x, y - arm, x, y + arm], fill=colour, width=width)


def _write_letters(picture: Image.Image, plane: Plane) -> None:
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    left, right, top, bottom = plane.letters
    places: list[tuple[float, float, str, str]] = []
    if width >= SMALL:
        places += [(10, height / 2, left, "lm"), (width - 10, height / 2, right, "rm")]
    if height >= SMALL:
        places += [(width / 2, 8, top, "ma"), (width / 2, height - 8, bottom, "md")]
    for x, y, letter, anchor in places:
        draw.text(
            (x, y), letter, _INK, font(17), anchor, stroke_width=2, stroke_fill=_HALO
        )  # fmt: skip


def _draw_scale(picture: Image.Image, plane: Plane) -> None:
    """A bar of a round length, at most a third of the panel, in the lower left corner."""
    draw = ImageDraw.Draw(picture)
    per_mm = picture.size[0] / plane.millimetres[0]
    widest = picture.size[0] / 3
    bar = next((mm for mm in _SCALE_BARS_MM if mm * per_mm < widest), _SCALE_BARS_MM[-1])
    x, y = 12, picture.size[1] - 13
    end = x + bar * per_mm
    draw.line([(x - 1, y), (end + 1, y)], fill=_HALO, width=5)
    draw.line([(x, y), (end, y)], fill=_INK, width=2)
    text = f"{bar // 10} cm" if bar >= 10 else f"{bar} mm"
    draw.text((x, y - 5), text, _INK, font(13), "ld", stroke_width=2, stroke_fill=_HALO)
