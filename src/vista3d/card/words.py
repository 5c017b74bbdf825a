"""What only people can say about a model, kept as data beside this file, one JSON per name.

`any.json` holds what is true of every VISTA3D; the file of a name replaces parts of it. The fields
are those of RSNA's ATLAS model schema (2025-11), in its order, under shorter names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Words:
    """Text without markup. Empty where nobody said anything.

    Attributes:
        title: what the model is called.
        summary: in at most 250 characters.
        link: URL of its source.
        keywords: to find it by.
        modalities: "CT", "MR".
        authors, organizations: who made it.
        version: of the model.
        published: date (ISO) or year.
        comments: a paragraph on what is special about it.
        references: papers, as ATLAS has them (Title, Authors, Source, Date, URL).
        training: how it was trained, a paragraph each, beyond what the checkpoint says.
        data: a data set a row: name as in the checkpoint's provenance, licence, what it teaches.
        availability, benefit, workflow_phase, automation, indications, instructions,
            recommendation, reproducibility, sustainability, regulatory: see ATLAS.
        limitations: where it fails, an item each.
        uses, misuses: intended and out of scope.
        users, other_users: the same of people.
        no_clicks: why clicks mean nothing to the model, where the checkpoint does not say it.
        pictures: (path relative to docs/, caption).
    """

    title: str = ""
    summary: str = ""
    link: str = ""
    keywords: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ("CT",)
    authors: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    version: str = ""
    published: str | int = ""
    comments: str = ""
    references: tuple[dict[str, Any], ...] = ()
    training: tuple[str, ...] = ()
    data: tuple[tuple[str, str, str], ...] = ()
    availability: str = ""
    benefit: str = ""
    workflow_phase: str = ""
    automation: str = ""
    indications: str = ""
    instructions: str = ""
    limitations: tuple[str, ...] = ()
    recommendation: str = ""
    regulatory: str = ""
    reproducibility: str = ""
    sustainability: str = ""
    uses: tuple[str, ...] = ()
    misuses: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    other_users: tuple[str, ...] = ()
    no_clicks: str = ""
    pictures: tuple[tuple[str, str], ...] = ()


def words_of(name: str | None) -> Words:
    """What is said about a named model; with None, or a name nobody wrote about, about any."""
    values = _read("any")
    if name is not None:
        values.update(_read(name))
    return Words(**{key: _frozen(value) for key, value in values.items()})


def _read(name: str) -> dict[str, Any]:
    file = files("vista3d.card").joinpath("words", f"{name}.json")
    if not file.is_file():
        return {}
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return values


def _frozen(value: Any) -> Any:
    """JSON lists become tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
