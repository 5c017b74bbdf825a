"""A model card as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from vista3d.card import described
from vista3d.card.card import Card
from vista3d.card.results import Table, shown

NOTICE = (
    "Research software. Not a medical device: no output may be used for diagnosis or treatment."
)


def as_markdown(card: Card) -> str:
    """The card, ending in a line break."""
    sections = (
        [f"# Model card: `{card.meta.name}`", NOTICE, _overview(card)],
        _use(card),
        _training(card),
        _performance(card),
        _failures(card),
        _structures(card),
        _references(card),
    )
    return "\n\n".join(block for section in sections for block in section if block) + "\n"


def _overview(card: Card) -> str:
    meta, words = card.meta, card.words
    rows = (
        ("What it is", words.summary),
        ("Sizes", described.sizes(card)),
        ("File", "" if card.file_bytes is None else f"{card.file_bytes / 1e6:.1f} MB"),
        ("Input", described.input_text(card)),
        ("Output", described.output_text(card)),
        ("Clicks", described.clicks_text(card)),
        ("Licence", meta.licence),
        ("Where", words.availability),
    )
    return _table(("", ""), [(name, text) for name, text in rows if text])


def _use(card: Card) -> list[str]:
    words = card.words
    rows = (
        ("Meant for", ", ".join(words.uses)),
        ("Not for", ", ".join(words.misuses)),
        ("Users", ", ".join(words.users)),
        ("Not by", ", ".join(words.other_users)),
    )
    return ["## Use", _table(("", ""), rows), words.indications, words.instructions]


def _training(card: Card) -> list[str]:
    blocks = ["## Training", card.words.comments]
    blocks += [_titled(described.data_table(card)), _titled(described.stage_table(card.meta))]
    blocks += card.words.training
    blocks += [_titled(table) for table in card.results.training]
    blocks += [card.words.sustainability, card.words.reproducibility]
    return blocks if any(blocks[1:]) else [*blocks, "The checkpoint does not say."]


def _performance(card: Card) -> list[str]:
    tables = [_titled(table) for table in card.results.performance]
    pictures = [f"![{caption}]({path})\n\n*{caption}*" for path, caption in card.words.pictures]
    return ["## How well it works", *(tables or ["Not measured."]), *pictures]


def _failures(card: Card) -> list[str]:
    items = "\n".join(f"- {item}" for item in card.words.limitations)
    return ["## Where it fails", items, card.words.recommendation]


def _structures(card: Card) -> list[str]:
    groups = described.classes_by_group(card.meta)
    lines = (f"- {group}: {', '.join(names)}" for group, names in groups.items())
    return ["## Structures", "\n".join(lines)]


def _references(card: Card) -> list[str]:
    keys = ("Authors", "Title", "Source", "URL")
    lines = [
        " ".join(f"{str(item[key]).rstrip('.')}." for key in keys if key in item)
        for item in card.words.references
    ]
    return ["## References", "\n".join(f"- {line}" for line in lines)] if lines else []


def _titled(table: Table) -> str:
    """Heading, notes and rows; nothing for a table that says nothing."""
    if not table.rows and not table.notes:
        return ""
    rows = _table(table.columns, table.rows) if table.rows else ""
    return "\n\n".join(part for part in (f"### {table.title}", *table.notes, rows) if part)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str | int | float]]) -> str:
    head = tuple(columns)
    lines = [_line(head), "|" + "---|" * len(head)]
    return "\n".join(lines + [_line(map(shown, row)) for row in rows])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
