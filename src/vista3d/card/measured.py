"""Results of a model from the folders that measured it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vista3d.card.results import Results


def results_from(
    evaluation: Path | None, training: Path | None, machine: str = ""
) -> Results | None:
    """What the folders hold; None where none is given.

    Args:
        evaluation: of `vista3d evaluate`.
        training: of `vista3d train`.
        machine: what the training ran on.

    Raises:
        InputError: a folder without a run, or with runs of several models.
    """
    if evaluation is None and training is None:
        return None
    from vista3d.card.evaluated import evaluated
    from vista3d.card.trained import trained

    results = Results() if evaluation is None else evaluated(evaluation)
    return replace(results, training=() if training is None else (trained(training, machine),))
