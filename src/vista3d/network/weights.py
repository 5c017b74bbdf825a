"""From a model's name to a file on disk; the only place that may use the network."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

from vista3d.errors import WeightsError
from vista3d.network.checkpoint import CT_LICENCE, CTMR_LICENCE

log = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parent.parent / "weights" / "mini.safetensors"

PUBLISHED = {
    "official": ("nvidia/NV-Segment-CT", "vista3d_pretrained_model/model.pt", CT_LICENCE),
    "official-ctmr": ("nvidia/NV-Segment-CTMR", "vista3d_pretrained_model/model.pt", CTMR_LICENCE),
}
"""Name -> Hugging Face repository, file and licence (facts 1.6)."""


def home() -> Path:
    """Where downloaded weights live: VISTA3D_HOME, or the platform's data folder."""
    if chosen := os.environ.get("VISTA3D_HOME"):
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("vista3d")


def resolve(model: str | Path) -> Path:
    """The file of "mini", of a downloaded published model, or a path. Never downloads.

    Raises:
        WeightsError: not there; the message says what to type.
    """
    name = str(model)
    if name == "mini":
        path = EMBEDDED
    elif name in PUBLISHED:
        path = home() / name / "model.pt"
        if not path.is_file():
            msg = f"the weights {name!r} are not on this machine: run `vista3d download {name}`"
            raise WeightsError(msg)
    else:
        path = Path(model)
    if not path.is_file():
        known = ", ".join(["mini", *PUBLISHED])
        msg = f"no model {name!r}: give a file, or one of {known}"
        raise WeightsError(msg)
    return path


def download(name: str = "official") -> Path:
    """Fetch published weights from the Hugging Face hub and check their sha256.

    Resumable, locked against a second process, and honours HF_HOME, HF_ENDPOINT and
    HF_HUB_OFFLINE, all through `huggingface_hub`.

    Raises:
        WeightsError: unknown name, no network, offline mode, or a file that differs from what the
            hub says it is.
    """
    if name not in PUBLISHED:
        msg = f"no published model {name!r}: one of {', '.join(PUBLISHED)}"
        raise WeightsError(msg)
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    repository, file, _ = PUBLISHED[name]
    try:
        expected = get_hf_file_metadata(hf_hub_url(repository, file)).etag
        cached = Path(hf_hub_download(repository, file))
    except Exception as error:  # the hub client raises a family of HTTP, OS and offline errors
        msg = (
            f"{repository}/{file} could not be fetched ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}): check the network, HF_ENDPOINT and HF_HUB_OFFLINE, "
            "or copy the file here and pass its path as --model"
        )
        raise WeightsError(msg) from error
    digest = _sha256(cached)
    if expected is None or digest != expected:
        cached.unlink(missing_ok=True)
        msg = f"{file} has sha256 {digest}, the hub says {expected}: it was removed, try again"
        raise WeightsError(msg)
    return _keep(cached, name, digest)


def _keep(cached: Path, name: str, digest: str) -> Path:
    """Link the checked file under our own folder, beside a note of what it is."""
    target = home() / name / "model.pt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(cached.resolve())
    repository, file, licence = PUBLISHED[name]
    note = {"repository": repository, "file": file, "sha256": digest, "licence": licence}
    target.with_name("source.json").write_text(json.dumps(note, indent=1))
    return target


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**22):
            digest.update(chunk)
    return digest.hexdigest()
