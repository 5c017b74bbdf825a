"""The table of structures that can be prompted: one CSV row each, read once.

Ids are rows of the class embedding table of the published checkpoints: 1..132 belong to the CT
model, 133..345 to its CT+MR successor. SNOMED CT codes follow the columns of 3D Slicer's
terminology files, so that Slicer and TotalSegmentator tools can read the CSV; a code is left empty
where we are not sure of it.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal

NEVER_TRAINED = frozenset({16, 18, 129, 130, 131})
"""Named in the released CT model, but no data set maps to them (facts 2.3)."""

SUPERCLASSES: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {
        2: (14, 5),
        20: (28, 29, 30, 31, 32),
        21: (*range(33, 57), *range(63, 98), 114, 120, 122),
    }
)
"""Kidney, lung and bone expand to their parts: prompted directly they collapse (VISTA#42)."""

SPECIAL = frozenset({23, 24, 25, 26, 27, 57, 128})
"""Ambiguous classes whose clicks carry the special embedding: the training list (facts 2.4)."""

OVERLAPPING = frozenset({23, 24, 25, 26, 27, 128, 132})
"""Trained, but inside other structures; left out of "everything"."""

Modality = Literal["ct", "mr", "mr-brain"]
"""What "everything" is chosen by: a CT, an MR of the body, an MR of the brain without its skull."""

MR_BODY = (1, *range(3, 16), 17, 19, 22, *range(58, 63), *range(87, 108), 115, 118, 121, 134, 135,
           136, 146)  # fmt: skip
"""The 50 ids that the CT+MR model was released with for MR of the body (facts 7)."""

MR_BRAIN = tuple(range(214, 346))
"""The same for MR of the brain: 132 ids."""


@dataclass(frozen=True)
class CodedConcept:
    """A coded term: value and meaning in a coding scheme (SCT = SNOMED CT)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Structure:
    """One promptable structure.

    Attributes:
        id: global class id, 1..345.
        name: lower case, as the published label dictionaries have it.
        group: anatomical group, for browsing and for prompts such as "ribs".
        laterality: "left", "right" or "".
        category, type, modifier: SNOMED CT terms; type and modifier may be missing.
        colour: RGB, 0..255; unique.
        aliases: other accepted names (TotalSegmentator's among them).
        trained: False where no published model was ever trained on it.
        parts: ids that a superclass expands to; empty otherwise.
        special: ambiguous class (see SPECIAL).
        everything: one of the 117 of the "everything" prompt on CT.
        source: "CT" or "CT+MR".
    """

    id: int
    name: str
    group: str
    laterality: str
    category: CodedConcept
    type: CodedConcept | None
    modifier: CodedConcept | None
    colour: tuple[int, int, int]
    aliases: tuple[str, ...]
    trained: bool
    parts: tuple[int, ...]
    special: bool
    everything: bool
    source: str


@functools.cache
def structures() -> Mapping[int, Structure]:
    """All structures by id."""
    text = resources.files(__package__).joinpath("structures.csv").read_text(encoding="utf-8")
    rows = [_structure(row) for row in csv.DictReader(text.splitlines())]
    return MappingProxyType({row.id: row for row in rows})


def _concept(row: Mapping[str, str], part: str) -> CodedConcept | None:
    prefix = f"SegmentedProperty{part}CodeSequence"
    value = row[f"{prefix}.CodeValue"]
    if not value:
        return None
    scheme = row[f"{prefix}.CodingSchemeDesignator"]
    return CodedConcept(value, scheme, row[f"{prefix}.CodeMeaning"])


def _structure(row: Mapping[str, str]) -> Structure:
    class_id = int(row["LabelValue"])
    category = _concept(row, "Category")
    if category is None:
        msg = f"structures.csv: {row['Name']} has no category code"
        raise ValueError(msg)
    red, green, blue = (int(part) for part in row["recommendedDisplayRGBValue"].split())
    left_out = NEVER_TRAINED | OVERLAPPING | SUPERCLASSES.keys()
    return Structure(
        id=class_id,
        name=row["Name"],
        group=row["Group"],
        laterality=row["Laterality"],
        category=category,
        type=_concept(row, "Type"),
        modifier=_concept(row, "TypeModifier"),
        colour=(red, green, blue),
        aliases=tuple(row["Aliases"].split("|")) if row["Aliases"] else (),
        trained=not row["Retired"],
        parts=SUPERCLASSES.get(class_id, ()),
        special=class_id in SPECIAL,
        everything=class_id <= 132 and class_id not in left_out,
        source=row["Source"],
    )
