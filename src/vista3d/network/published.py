"""The published models: where they are, under which licence, and the settings they need.

A published checkpoint is bare tensors; what else decides its results is written here (facts 1.6,
2.1, 2.3, 7 and 13).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from vista3d.network.config import OFFICIAL, NetworkConfig
from vista3d.network.metadata import CheckpointMeta, IntensityKind

log = logging.getLogger(__name__)

_UNTRAINED = frozenset({16, 18, 129, 130, 131})
"""Named, but no data set ever labelled them."""
_SUPERCLASSES = frozenset({2, 20, 21})
"""Kidney, lung and bone: prompted through their parts, not trained as themselves."""
_RETIRED = frozenset({133, *range(137, 146), 155, 162})
"""Ids that the CT+MR model lists as deprecated, besides 16 and 129-131."""

CT_LICENCE = (
    "NVIDIA Open Model License (weights of NV-Segment-CT / VISTA3D). The model's own pages "
    "contradict each other on non-commercial terms: read the licence beside the weights, at "
    "https://huggingface.co/nvidia/NV-Segment-CT, before use."
)
CTMR_LICENCE = (
    "NVIDIA OneWay Non-Commercial License (weights of NV-Segment-CTMR): no commercial use. Read it "
    "at https://huggingface.co/nvidia/NV-Segment-CTMR before use."
)
UNKNOWN_LICENCE = "unknown: the file carries no metadata. Ask whoever made these weights."


class Published(NamedTuple):
    """A model on the Hugging Face hub and the settings it was released with.

    Attributes:
        repository: on the hub.
        file: the weights in it, MONAI >= 1.4 layout.
        licence: of the weights, shown before and after download.
        window: voxels of a sliding window.
        intensity: what becomes 0 and 1, in the unit of `intensity_kind`.
        intensity_kind: "hu" (fixed values) or "percentiles" (of each scan).
        classes: trained global ids.
        modalities: those that its "everything" has a list for.
        point_branch: "trained", or "untrained" where clicks are of no use.
    """

    repository: str
    file: str
    licence: str
    window: tuple[int, int, int]
    intensity: tuple[float, float]
    intensity_kind: IntensityKind
    classes: tuple[int, ...]
    modalities: tuple[str, ...]
    point_branch: str = "trained"


def _ids(last: int, without: frozenset[int]) -> tuple[int, ...]:
    return tuple(i for i in range(1, last + 1) if i not in without)


PUBLISHED = {
    "official": Published(
        repository="nvidia/NV-Segment-CT",
        file="vista3d_pretrained_model/model.pt",
        licence=CT_LICENCE,
        window=(128, 128, 128),
        intensity=(-963.8247715525971, 1053.678477684517),
        intensity_kind="hu",
        classes=_ids(132, _UNTRAINED | _SUPERCLASSES),
        modalities=("ct",),
    ),
    "official-ctmr": Published(
        repository="nvidia/NV-Segment-CTMR",
        file="vista3d_pretrained_model/model.pt",
        licence=CTMR_LICENCE,
        window=(192, 192, 128),
        intensity=(1.0, 99.0),
        intensity_kind="percentiles",
        classes=_ids(345, _UNTRAINED | _SUPERCLASSES | _RETIRED),
        modalities=("ct", "mr", "mr-brain"),
        # Its encoder was trained further, its point branch was not: no clicks, say its authors.
        point_branch="untrained",
    ),
}


def name_of(path: Path, config: NetworkConfig) -> str:
    """Which published model a file without metadata is taken for; its own name if none.

    Both have the same tensors, so only a name can tell: `NV-Segment-CTMR` or `official-ctmr`
    anywhere in the path (as the hub's cache and `vista3d download` have it) is the CT+MR model.
    """
    if config != OFFICIAL:
        return path.stem
    place = str(path.absolute()).lower()
    return "official-ctmr" if re.search("nv-segment-ctmr|official-ctmr", place) else "official"


def settings_of(path: Path, config: NetworkConfig, name: str | None = None) -> CheckpointMeta:
    """Metadata for a file that has none: the released settings of the model it is taken for.

    Args:
        path: the file; decides the name where `name` is None.
        config: sizes read from its tensors.
        name: "official" or "official-ctmr" to say which.
    """
    name = name or name_of(path, config)
    known = PUBLISHED.get(name)
    settings = known or PUBLISHED["official"]
    if known is None:
        log.warning("%s carries no metadata: 1.5 mm and the CT window are assumed", path.name)
    provenance: dict[str, Any] = {"file": path.name, "source": "published layout, no metadata"}
    blob = path.resolve().name
    if len(blob) == 64:  # the hub's cache names a file by its sha256
        provenance["sha256"] = blob
    if known is not None:
        provenance["repository"] = known.repository
        provenance["point_branch"] = known.point_branch
    return CheckpointMeta(
        name=name,
        config=config,
        spacing=(1.5, 1.5, 1.5),
        window=settings.window,
        intensity=settings.intensity,
        classes=tuple(i for i in settings.classes if i < config.embeddings),
        licence=settings.licence if known is not None else UNKNOWN_LICENCE,
        provenance=provenance,
        intensity_kind=settings.intensity_kind,
        modalities=() if known is None else known.modalities,
    )
