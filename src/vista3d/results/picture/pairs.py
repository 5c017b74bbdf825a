"""The same places of a scan before and after something was painted into it, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from vista3d.results.picture.panel import draw_panel, font
from vista3d.results.picture.planes import Plane

TILE = 260
"""Side of a plane in pixels."""
CAPTION, GAP = 24, 8
OUTLINE = (110, 231, 135)
"""One for all: no tissue has it."""
_BACKGROUND, _TEXT, _FAINT = (12, 14, 18), (226, 230, 238), (140, 148, 162)


@dataclass(frozen=True)
class Pair:
    """One place.

    Attributes:
        caption: what was painted.
        before, after: the square around it; labels of `after` are outlined.
        window: (low, high) in HU.
    """

    caption: str
    before: Plane
    after: Plane
    window: tuple[float, float]


def draw_pairs(
    pairs: Sequence[Pair], *, columns: int = 1, tile: int = TILE, note: str = ""
) -> Image.Image:
    """Draw pairs in rows of `columns`, each below its caption; `note` goes below all."""
    width, height = 2 * tile + GAP, CAPTION + tile
    rows = -(-len(pairs) // columns)
    size = (columns * (width + GAP) - GAP, rows * height + (CAPTION if note else 0))
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, pair in enumerate(pairs):
        x, y = number % columns * (width + GAP), number // columns * height
        text = font(14 if tile >= TILE else 12)
        draw.text((x + 4, y + CAPTION // 2), pair.caption, _TEXT, text, "lm")
        for side, plane in enumerate((pair.before, pair.after)):
            colours = {int(n): OUTLINE for n in range(1, int(plane.labels.max(initial=0)) + 1)}
            panel = draw_panel(
                plane, (tile, tile), colours, pair.window, scale_bar=side == 0, tint=0
            )
            sheet.paste(panel, (x + side * (tile + GAP), y + CAPTION))
    if note:
        draw.text((4, size[1] - CAPTION // 2), note, _FAINT, font(13), "lm")
    return sheet
