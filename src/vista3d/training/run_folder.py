"""A run folder is for one run: what the run is lies in it, and another one is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from vista3d.errors import UsageError
from vista3d.results.json_file import write_json


def claim(path: Path, content: Mapping[str, Any], fabric: Fabric) -> None:
    """Write what a run is, or find that the folder is of this very run.

    Args:
        path: of the file, in the run folder.
        content: settings, scans and weights that are started from.
        fabric: launched; every process calls this.

    Raises:
        UsageError: the folder holds another run; names what differs.
    """
    # As it will be read: tuples are lists, and infinity, which JSON has not, a word.
    wanted = json.loads(json.dumps(content), parse_constant=str)
    kept = json.loads(path.read_text()) if path.is_file() else wanted
    other = sorted(key for key in wanted if wanted[key] != kept.get(key))
    if other:
        msg = f"{path.parent} holds a run with other {', '.join(other)}: choose another folder"
        raise UsageError(msg + _or_go_on(path.parent))
    fabric.barrier()  # all have read before one writes
    if fabric.is_global_zero:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, wanted)
    fabric.barrier()


def _or_go_on(folder: Path) -> str:
    """How to go on from the model of a run, where it has one."""
    model = folder / "model.safetensors"
    return f", or go on from it: --initial {model} -o NEW" if model.is_file() else ""
