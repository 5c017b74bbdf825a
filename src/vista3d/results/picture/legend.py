"""The legend of a preview: swatch, name and volume of the largest structures in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from vista3d.results.picture.layout import Box
from vista3d.results.picture.panel import font
from vista3d.results.statistics import shown_ml

ROW = 25
COLUMN, COLUMN_GAP = 216, 26
"""Least width of a column and the space between two, in pixels."""
WIDEST = 300
_TEXT, _FAINT = (226, 230, 238), (140, 148, 162)


@dataclass(frozen=True)
class Entry:
    """One line: a structure of the picture."""

    name: str
    colour: tuple[int, int, int]
    millilitres: float


def draw_legend(picture: Image.Image, box: Box, entries: Sequence[Entry], note: str) -> None:
    """Fill the box in columns, in the given order; `note` goes to its lower right corner.

    Entries that do not fit are counted in the last line.
    """
    draw = ImageDraw.Draw(picture)
    columns = max(1, (box.width + COLUMN_GAP) // (COLUMN + COLUMN_GAP))
    rows = max(1, (box.height - ROW) // ROW)
    width = min((box.width - (columns - 1) * COLUMN_GAP) // columns, WIDEST)
    room = rows * columns
    shown = list(entries) if len(entries) <= room else list(entries[: room - 1])
    for number, entry in enumerate(shown):
        column, row = divmod(number, rows)
        x = box.x + column * (width + COLUMN_GAP)
        _draw_entry(draw, entry, x, box.y + row * ROW, width)
    if len(entries) > len(shown):
        column, row = divmod(len(shown), rows)
        x = box.x + column * (width + COLUMN_GAP) + 24
        more = f"and {len(entries) - len(shown)} smaller structures"
        draw.text((x, box.y + row * ROW + ROW // 2), more, _FAINT, font(13), "lm")
    corner = (box.x + box.width, box.y + box.height)
    draw.text(corner, note, _FAINT, font(13), "rd")


def _draw_entry(draw: ImageDraw.ImageDraw, entry: Entry, x: int, y: int, width: int) -> None:
    middle = y + ROW // 2
    draw.rounded_rectangle((x, middle - 7, x + 14, middle + 7), radius=4, fill=entry.colour)
    amount = f"{shown_ml(entry.millilitres)} mL"
    if entry.millilitres >= 10:
        amount = f"{entry.millilitres:.0f} mL"
    room = width - 24 - draw.textlength(amount, font(13)) - 10
    name = _shorten(draw, entry.name, room)
    draw.text((x + 24, middle), name, _TEXT, font(15), "lm")
    draw.text((x + width, middle), amount, _FAINT, font(13), "rm")


def _shorten(draw: ImageDraw.ImageDraw, name: str, room: float) -> str:
    """The name, cut with three dots where it is longer than `room` pixels."""
    if draw.textlength(name, font(15)) <= room:
        return name
    while name and draw.textlength(name + "...", font(15)) > room:
        name = name[:-1]
    return name.rstrip() + "..."
