"""One thing that is wrong with a data set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What, where, and what to do.

    Attributes:
        dataset, case: where; an empty case means the whole data set.
        kind: stable identifier, one of those in docs/data.md.
        what: the fault in words.
        value: the offending value.
        fix: what to do about it.
    """

    dataset: str
    case: str
    kind: str
    what: str
    value: str
    fix: str
