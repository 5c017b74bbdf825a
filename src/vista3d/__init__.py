"""VISTA3D: promptable 3D CT segmentation, rebuilt from the paper. Research software.

Heavy libraries load when they are used: `import vista3d` takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vista3d.inference import InteractiveSession, Model, Segmentation, load
    from vista3d.studies import evaluate
    from vista3d.training.finetuning import finetune
    from vista3d.volume import Volume, read

__version__ = "0.1.0"

__all__ = [
    "InteractiveSession",
    "Model",
    "Segmentation",
    "Volume",
    "__version__",
    "evaluate",
    "finetune",
    "load",
    "read",
]

_HOMES = {
    "InteractiveSession": "vista3d.inference",
    "Model": "vista3d.inference",
    "Segmentation": "vista3d.inference",
    "evaluate": "vista3d.studies",
    "finetune": "vista3d.training.finetuning",
    "load": "vista3d.inference",
    "Volume": "vista3d.volume",
    "read": "vista3d.volume",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    msg = f"module 'vista3d' has no attribute {name!r}"
    raise AttributeError(msg)
