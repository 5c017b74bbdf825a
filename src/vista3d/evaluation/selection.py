"""Which structures of a case a run evaluates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vista3d.anatomy import Vocabulary
from vista3d.errors import UnknownClassError, UsageError
from vista3d.evaluation.case import EvaluationCase, Target
from vista3d.evaluation.protocols import Protocol


def select(
    cases: Iterable[EvaluationCase],
    protocol: Protocol,
    known: frozenset[int],
    structures: Sequence[str],
    vocabulary: Vocabulary,
) -> list[EvaluationCase]:
    """The cases that have something to evaluate, and only that; perhaps none.

    Args:
        cases: of all data sets.
        protocol: decides between what the model knows and what it does not.
        known: global ids that the model was trained on.
        structures: names, ids or groups; of a protocol for novel structures, these are clicked as
            if the model did not know them. Empty: all.
        vocabulary: of the model: says what names and groups mean to it.

    Raises:
        UsageError: a structure that no case has.
    """
    cases = list(cases)
    for name in structures:
        if not any(_named(target, name, vocabulary) for case in cases for target in case.targets):
            there = sorted({target.name for case in cases for target in case.targets})
            msg = f"no case annotates {name!r}: the data sets have {', '.join(there)}"
            if not there:
                msg = f'no label means a structure: say which one means {name!r}: --map "1:{name}"'
            raise UsageError(msg)

    def wanted(target: Target) -> bool:
        novel = target.class_id is None or target.class_id not in known
        if structures and not any(_named(target, name, vocabulary) for name in structures):
            return False
        return not novel if protocol.targets == "known" else novel or bool(structures)

    chosen = []
    for case in cases:
        targets = tuple(target for target in case.targets if wanted(target))
        others = tuple(target for target in case.targets if target not in targets)
        if targets:
            chosen.append(replace(case, targets=targets, others=others))
    return chosen


def _named(target: Target, name: str, vocabulary: Vocabulary) -> bool:
    """Whether a name, an id or a group means a target."""
    if name.casefold() == target.name.casefold():
        return True
    try:
        return target.class_id in vocabulary.resolve([name])
    except UnknownClassError:
        return False
