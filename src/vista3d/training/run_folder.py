"""A run folder is for one run: what the run is lies in it, and another one is refused."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
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
        UsageError: in all processes: the folder holds another run, or one of them is about to
            begin another than the first; names what differs. Or machines do not share the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _require_shared(path.parent, fabric)
    # As it will be read: tuples are lists, and infinity, which JSON has not, a word.
    wanted = json.loads(json.dumps(content), parse_constant=str)
    kept = fabric.broadcast(json.loads(path.read_text()) if path.is_file() else wanted)
    other = ", ".join(sorted(key for key in wanted if wanted[key] != kept.get(key)))
    problem = ""
    if other:
        problem = f"{path.parent} holds a run with other {other}: choose another folder"
        problem += _or_go_on(path.parent)
        problem += ", and give every machine the same data" if fabric.world_size > 1 else ""
    _agree(problem, fabric)
    if fabric.is_global_zero:
        write_json(path, wanted)
    fabric.barrier()


def _or_go_on(folder: Path) -> str:
    """How to go on from the model of a run, where it has one."""
    model = folder / "model.safetensors"
    return f", or go on from it: --initial {model} -o NEW" if model.is_file() else ""


def _require_shared(folder: Path, fabric: Fabric) -> None:
    """Refuse a folder of which every machine has its own: only the first would find its run again.

    The file that all look for has a new name: network file systems remember for a while what was
    not there.
    """
    mark = folder / fabric.broadcast(f".shared-{secrets.token_hex(8)}")
    if fabric.is_global_zero:
        mark.touch()
    fabric.barrier()
    problem = ""
    if not mark.is_file():
        problem = f"{folder} is not that of the first machine: choose one that all machines share"
    try:
        _agree(problem, fabric)
    finally:
        if fabric.is_global_zero:
            mark.unlink()


def _agree(problem: str, fabric: Fabric) -> None:
    """Raise in all processes what one has found: the others would wait for it."""
    found = torch.tensor(float(bool(problem)), device=fabric.device)
    if float(fabric.all_reduce(found, reduce_op="sum")):  # type: ignore[arg-type]
        raise UsageError(problem or "another process was refused: see its message")
