"""`GET /info/`: what clients build their panels from."""

from __future__ import annotations

from typing import Any

from vista3d import __version__
from vista3d.server.schemas import NOTICE
from vista3d.server.service import Service

MODELS = {
    "vista3d": ("vista3d", "Classes and clicks (OHIF)"),
    "vista3d_auto": ("segmentation", "Automatic segmentation"),
    "vista3d_points": ("deepgrow", "Clicks on one structure, or on anything"),
}
"""Published name -> type by which clients sort it, and description."""

STRATEGIES = {
    "first": {"name": "first", "description": "The first image without a final label"},
    # OHIF asks for this one whatever its list of strategies shows.
    "random": {"name": "random", "description": "Any image without a final label"},
}


def info(service: Service, stats: dict[str, Any]) -> dict[str, Any]:
    """The document; `stats` of the datastore.

    It has no `config` of its own: 3D Slicer takes one for the mark of a server that is too old.
    """
    labels = labels_of(service)
    return {
        "name": "vista3d",
        "description": "Promptable 3D CT segmentation. " + NOTICE,
        "version": __version__,
        # Without a background: 3D Slicer would make a segment of it and then send the names of all
        # others one too high in `label_info`.
        "labels": [*labels],
        "models": {
            name: {
                "type": kind,
                "labels": labels,
                "dimension": 3,
                "description": description,
                "version": __version__,
                "config": {},
            }
            for name, (kind, description) in MODELS.items()
        },
        "trainers": {},
        "strategies": STRATEGIES,
        "scoring": {},
        "train_stats": {},
        "datastore": stats,
    }


def labels_of(service: Service) -> dict[str, int]:
    """Name -> global id of what the model learned; in lower case, as OHIF's buttons have them."""
    vocabulary = service.model.vocabulary
    return {vocabulary.by_id(i).name.lower(): i for i in service.model.meta.classes}
