"""Everything a model card says, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vista3d.card.results import Results, results_of
from vista3d.card.words import Words, words_of
from vista3d.errors import InputError
from vista3d.network.metadata import CheckpointMeta


@dataclass(frozen=True)
class Card:
    """What is known about a model.

    Attributes:
        meta: what the checkpoint says of itself.
        parameters: of the network.
        words: what people say.
        results: what was measured.
        file_bytes: size of the checkpoint; None where it is not on this machine.
        version: of the model; "" where it has none.
    """

    meta: CheckpointMeta
    parameters: int
    words: Words
    results: Results
    file_bytes: int | None = None
    version: str = ""


def card_of(model: str, results: Results | None = None) -> Card:
    """The card of a named model, or of a checkpoint file.

    The facts about a published model are package data: its weights need not be here. A file speaks
    for itself: nothing is said about it but what its metadata state and what holds for any VISTA3D.

    Args:
        model: a shipped or a published model's name, or a path.
        results: measured tables, which take the place of those that the package has of a named
            model.

    Raises:
        InputError: the tables are of another model.
        WeightsError: no such model, or a damaged file.
    """
    from vista3d.network.about import about
    from vista3d.network.published import PUBLISHED
    from vista3d.network.weights import EMBEDDED, resolve

    meta = about(model)
    size = None if model in PUBLISHED else resolve(model).stat().st_size
    name = model if model in (*EMBEDDED, *PUBLISHED) else None
    if name is None:
        ours = {path: name for name, path in EMBEDDED.items()}
        name = ours.get(Path(model).absolute())
    known = Results() if name is None else results_of(name)
    if results is not None:
        known = _measured(model, results, known)
    words = words_of(name)
    base = meta.lineage[-1][0]
    if name is None and base in (*EMBEDDED, *PUBLISHED):
        words = _inherited(words, base)
    version = _package_version() if name in EMBEDDED else words.version
    return Card(meta, _parameters(meta), words, known, size, version)


def _measured(model: str, results: Results, known: Results) -> Results:
    """What was measured now; of the rest, what the package has."""
    if results.model and results.model != checksum(model):
        msg = f"the evaluation is of another model than {model} (checksum {results.model[:12]}): "
        msg += f"evaluate this one: `vista3d evaluate DATA -m {model} -o RUN`"
        raise InputError(msg)
    if not results.performance:
        results = replace(results, performance=known.performance, model=known.model)
    return replace(results, training=results.training or known.training)


def checksum(model: str) -> str:
    """Of weights and settings, as evaluations state it.

    Raises:
        WeightsError: it is not on this machine.
    """
    from vista3d.evaluation.settings import describe_model
    from vista3d.inference import load

    about = describe_model(load(model, device="cpu", runtime="torch", precision="fp32"))
    return str(about["sha256"])


def _inherited(words: Words, base: str) -> Words:
    """What is said of any model, and what one has from the named model it was fine-tuned from."""
    first = words_of(base)
    added = (
        "Parts of the body that no scan of its fine-tuning shows can be marked.",
        f"What {base} gets wrong, it may get wrong as well: `vista3d card --model {base}`.",
    )
    return replace(
        words,
        modalities=first.modalities,
        data=first.data,
        limitations=(*words.limitations, *added),
        no_clicks=first.no_clicks,
    )


def _parameters(meta: CheckpointMeta) -> int:
    import torch

    from vista3d.network.vista3d import Vista3D

    with torch.device("meta"):
        network = Vista3D(meta.config)
    return sum(parameter.numel() for parameter in network.parameters())


def _package_version() -> str:
    from vista3d import __version__

    return __version__
