"""What can be segmented: structures, their names, groups, codes and colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vista3d.anatomy.lookup import (
    LEFT,
    RIGHT,
    by_id,
    collections,
    dataset_ids,
    described,
    everything,
    find,
    groups,
    mirror,
    new_structure,
    one_sided,
    resolve,
    search,
)
from vista3d.anatomy.table import SPECIAL, CodedConcept, Modality, Structure, structures
from vista3d.anatomy.vocabulary import Vocabulary

STRUCTURES: Mapping[int, Structure]
"""All structures by id; read from the CSV on first use."""

__all__ = [
    "LEFT",
    "RIGHT",
    "SPECIAL",
    "STRUCTURES",
    "CodedConcept",
    "Modality",
    "Structure",
    "Vocabulary",
    "by_id",
    "collections",
    "dataset_ids",
    "described",
    "everything",
    "find",
    "groups",
    "mirror",
    "new_structure",
    "one_sided",
    "resolve",
    "search",
    "structures",
]


def __getattr__(name: str) -> Any:
    if name == "STRUCTURES":
        return structures()
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
