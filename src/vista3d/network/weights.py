"""From a model's name to a file on disk; with `hub`, the only place that may use the network."""

from __future__ import annotations

import json
import logging
import os
import secrets
from dataclasses import asdict
from pathlib import Path

from vista3d.errors import UsageError, WeightsError
from vista3d.network import hub
from vista3d.network.published import PUBLISHED

__all__ = ["EMBEDDED", "PUBLISHED", "download", "home", "receipt", "resolve"]

log = logging.getLogger(__name__)

_FOLDER = Path(__file__).parent.parent / "weights"

EMBEDDED = {"mini": _FOLDER / "mini.safetensors"}
"""Models in the package."""


def home() -> Path:
    """Where this program keeps notes and weights put there by hand.

    VISTA3D_HOME, or the platform's data folder. Downloads lie in the hub's cache (HF_HOME).
    """
    if chosen := os.environ.get("VISTA3D_HOME"):
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("vista3d")


def resolve(model: str | Path) -> Path:
    """The file of an embedded model, of a downloaded published model, or a path; no download.

    A published model is looked for at `<home>/<name>/model.pt`, for machines without network, and
    in the hub's cache, whichever program filled it.

    Raises:
        WeightsError: not there; the message says what to type.
    """
    name = str(model)
    if name in EMBEDDED:
        path = EMBEDDED[name]
    elif name in PUBLISHED:
        by_hand = home() / name / "model.pt"
        if by_hand.is_file():
            return by_hand
        known = PUBLISHED[name]
        found = hub.find_cached(known.repository, known.file)
        if found is None:
            msg = (
                f"the weights {name!r} are not on this machine: run `vista3d download {name}`, or "
                f"copy {Path(known.file).name} of {known.repository} to {by_hand}"
            )
            raise WeightsError(msg)
        return found
    else:
        path = Path(model)
    if not path.is_file():
        names = ", ".join([*EMBEDDED, *PUBLISHED])
        msg = f"no model {name!r}: give a file, or one of {names}"
        raise WeightsError(msg)
    return path


def download(name: str = "official") -> Path:
    """Fetch published weights from the Hugging Face hub and check their sha256.

    Resumable, locked against a second process, and honours HF_HOME, HF_ENDPOINT, HF_TOKEN and
    HF_HUB_OFFLINE. Where the hub cannot be asked, an earlier download is checked against its
    receipt instead.

    Raises:
        UsageError: no published model of that name.
        WeightsError: no network, offline mode, or a file that differs from what the hub says it is.
    """
    if name not in PUBLISHED:
        msg = f"no published model {name!r}: one of {', '.join(PUBLISHED)}"
        raise UsageError(msg)
    known = PUBLISHED[name]
    try:
        fetched = hub.fetch(known.repository, known.file)
    except hub.HubUnreachableError:
        kept = hub.find_cached(known.repository, known.file)
        if kept is None or receipt(name).get("sha256") != hub.sha256_of(kept):
            raise
        log.warning("the hub cannot be asked: %s of an earlier download is unchanged", name)
        return kept
    _keep_receipt(name, fetched)
    return fetched.path


def receipt(name: str) -> dict[str, str]:
    """What was downloaded under a name: path, repository, file, commit, sha256, size, licence.

    Empty where nothing was, or the note is damaged.
    """
    try:
        return dict(json.loads((home() / f"{name}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _keep_receipt(name: str, fetched: hub.Fetched) -> None:
    note = {**asdict(fetched), "path": str(fetched.path), "licence": PUBLISHED[name].licence}
    path = home() / f"{name}.json"
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(json.dumps(note, indent=1) + "\n")
    os.replace(partial, path)
