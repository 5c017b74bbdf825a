"""Numbers and lists in messages and reports."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """As in "1 scan", "2 scans" and "2 classes"."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{plural * (number != 1)}"


def first_of(names: Sequence[object], most: int) -> str:
    """The first so many, and whether there are more: "liver, spleen, ..."."""
    return ", ".join(map(str, names[:most])) + ", ..." * (len(names) > most)
