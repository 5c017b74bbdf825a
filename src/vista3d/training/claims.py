"""What a trained model says of its licence and its clicks, whichever command trained it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vista3d.network.metadata import BEFORE_FINE_TUNING, UNTRAINED, CheckpointMeta
from vista3d.training.data.case import Case
from vista3d.training.recipe import PointStage, Stage

TERMS = " Fine-tuned on other data, whose terms hold as well."


def licences(cases: Iterable[Case]) -> dict[str, str]:
    """Data set -> its licence as it states it, or "", of all that the cases come from."""
    return {case.source.name: case.source.licence for case in cases}


def licence(before: CheckpointMeta | None, cases: Iterable[Case]) -> str:
    """Of weights that were trained on these cases.

    It is that of the model which was started from: it speaks of that model's own data already, and
    of other data it cannot. Nothing is known of random weights but what the data sets state.

    Args:
        before: what the weights that were started from say of themselves; None: random ones.
        cases: that decided the weights.
    """
    stated = licences(cases)
    if before is None:
        listed = ", ".join(f"{name} ({own or 'no licence stated'})" for name, own in stated.items())
        return f"Trained on {listed}, whose terms hold. Research software, not a medical device."
    text = before.licence.removesuffix(TERMS)
    new = any(not _is_known(name, own, before) for name, own in stated.items())
    return text + TERMS if new or text != before.licence else text


def _is_known(data_set: str, stated: str, before: CheckpointMeta) -> bool:
    """Whether a model was trained on a data set of this name, and of this licence if it says it."""
    return any(
        data_set in level.get("training_cases", {})
        and level.get("licences", {}).get(data_set, stated) == stated
        for _, level in before.lineage
    )


def point_branch(before: CheckpointMeta | None, stages: Sequence[Stage]) -> str:
    """What the provenance says of the point branch after these stages."""
    if any(isinstance(stage, PointStage) for stage in stages):
        return "trained"
    if before is None or before.clicks_untrained:
        return UNTRAINED
    if any("encoder" in stage.parts for stage in stages):
        return BEFORE_FINE_TUNING
    return str(before.provenance.get("point_branch", "trained"))
