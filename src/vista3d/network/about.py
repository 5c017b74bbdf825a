"""What a model says of itself, by its name or file, without loading it where that can be helped."""

from __future__ import annotations

from pathlib import Path

from vista3d.network import weights
from vista3d.network.config import OFFICIAL
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.published import PUBLISHED, settings_of


def about(model: str) -> CheckpointMeta:
    """Metadata of an embedded or published model, or of a checkpoint file.

    A published model need not be on this machine: what it is, is known.

    Raises:
        WeightsError: no such model, or a file that is none.
    """
    if model in PUBLISHED:
        return settings_of(Path(PUBLISHED[model].file), OFFICIAL, model)
    path = weights.resolve(model)
    known = CheckpointMeta.peek(path)
    if known is not None:
        return known
    from vista3d.network.checkpoint import read_checkpoint  # torch: a second

    return read_checkpoint(path)[1]
