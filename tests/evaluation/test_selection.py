"""Which structures a run evaluates, by the names that the model knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from vista3d.anatomy import Vocabulary
from vista3d.errors import UsageError
from vista3d.evaluation.case import EvaluationCase, Target
from vista3d.evaluation.protocols import protocol
from vista3d.evaluation.selection import select

KIDNEYS = (Target("left kidney", 14, (1,)), Target("right kidney", 5, (2,)))
OWN = Target("My tumour", 346, (3,))
CASE = EvaluationCase("Made", "a", "a", Path("a"), Path("b"), (*KIDNEYS, OWN), (5, 14, 346))
VOCABULARY = Vocabulary.of({346: "My tumour"})


def names(*structures: str, vocabulary: Vocabulary = VOCABULARY) -> list[str]:
    known = frozenset({5, 14, 346})
    chosen = select([CASE], protocol("auto"), known, structures, vocabulary)
    return [target.name for case in chosen for target in case.targets]


@pytest.mark.parametrize("asked", ["my_tumour", "MY-TUMOUR", "346"])
def test_a_models_own_class_by_any_spelling_and_by_id(asked: str):
    assert names(asked) == ["My tumour"]
    with pytest.raises(UsageError, match="no case annotates"):
        names(asked, vocabulary=Vocabulary())


def test_groups_and_ids_of_the_table():
    assert names("kidney") == ["left kidney", "right kidney"]
    assert names("5", "my tumour") == ["right kidney", "My tumour"]
    assert names() == ["left kidney", "right kidney", "My tumour"]
