"""Whether results can be written, asked before the work and not after it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from vista3d.errors import UsageError


def require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written in, or not be created; nothing is created yet.

    Raises:
        UsageError: a file is in the way, or permission is missing.
    """
    place = next(each for each in (folder, *folder.parents) if each.exists())
    if not place.is_dir():
        reason = "is a file"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = "may not be written in"
    else:
        return
    msg = f"no results can go to '{folder}': '{place}' {reason}, choose another place"
    raise UsageError(msg)


def refuse_existing(path: Path, *, allowed: bool, otherwise: str = "") -> None:
    """Refuse to replace a file; `otherwise`: what else the command offers.

    Raises:
        UsageError: it exists and `allowed` is not set.
    """
    if path.exists() and not allowed:
        rest = otherwise and f", or {otherwise}"
        msg = f"'{path}' exists: add --overwrite to replace it{rest}"
        raise UsageError(msg)


def refuse_overwriting(
    targets: Iterable[Path],
    inputs: Iterable[Path],
    *,
    allowed: bool,
    otherwise: str = "choose another place",
) -> None:
    """Stop before any work when a result would replace a file; `otherwise`: the command's advice.

    Raises:
        UsageError: a target is one of the inputs, or exists and `allowed` is not set.
    """
    sources = {path.absolute() for path in inputs}
    for path in targets:
        if path.absolute() in sources:
            msg = f"'{path}' is an input: choose another place with -o"
            raise UsageError(msg)
        refuse_existing(path, allowed=allowed, otherwise=otherwise)
