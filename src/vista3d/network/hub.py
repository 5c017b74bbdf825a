"""One file of a Hugging Face repository, resumable and checked, into the hub's own cache.

`huggingface_hub` decides where (HF_HOME, HF_HUB_CACHE), from whom (HF_ENDPOINT, HF_TOKEN) and
whether at all (HF_HUB_OFFLINE). Two things it does not do since version 2 are done here: a broken
transfer goes on where it stopped in the next process, and the content is compared with the sha256
that the hub states.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vista3d.errors import WeightsError

log = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REMEDY = (
    "check the network, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE, or copy the file here and pass "
    "its path as --model"
)


class HubUnreachableError(WeightsError):
    """Nobody answered, or offline mode is on: a file from an earlier download may still do."""


@dataclass(frozen=True)
class Fetched:
    """A file in the hub's cache, equal to what the hub says it is.

    Attributes:
        path: where it is.
        repository: owner and name.
        file: path in the repository.
        commit: of the repository.
        sha256: of the content, computed here and stated there.
        size: bytes.
    """

    path: Path
    repository: str
    file: str
    commit: str
    sha256: str
    size: int


def fetch(repository: str, file: str) -> Fetched:
    """Download a file unless the cache has it, and check it either way.

    Raises:
        HubUnreachableError: no network, or offline mode.
        WeightsError: the hub refuses, no space is left, or the content is not what the hub states.
    """
    # This house sends no telemetry; the hub client would, unless its variable is set before import.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    commit, sha256, size = _stated(repository, file)
    folder = repo_folder_name(repo_id=repository, repo_type="model")
    cache = Path(constants.HF_HUB_CACHE)
    blob = cache / folder / "blobs" / sha256
    lock = cache / ".locks" / folder / f"{sha256}.lock"
    for place in (blob, lock):
        place.parent.mkdir(parents=True, exist_ok=True)
    if find_cached(repository, file, commit) is None:
        with WeakFileLock(lock):  # the lock that hub programs take for this file
            if not blob.exists():
                _transfer(repository, file, commit, blob, size)
    try:  # names the blob in the cache; transfers nothing, for the blob is there
        path = Path(hf_hub_download(repository, file))
    except Exception as error:
        raise _explained(error, repository, file) from error
    if (found := sha256_of(path)) != sha256:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        msg = f"{path} has sha256 {found}, the hub states {sha256}: it was removed, run it again"
        raise WeightsError(msg)
    return Fetched(path, repository, file, commit, sha256, size)


def find_cached(repository: str, file: str, revision: str | None = None) -> Path | None:
    """The file in the hub's cache, whoever downloaded it; the network is not used."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file, revision=revision)
    return Path(found) if isinstance(found, str) and os.path.isfile(found) else None


def sha256_of(path: Path) -> str:
    """Hexadecimal digest; 1 s for 872 MB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**22):
            digest.update(chunk)
    return digest.hexdigest()


def _stated(repository: str, file: str) -> tuple[str, str, int]:
    """Commit, sha256 and size as the hub states them for the main branch."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        stated = get_hf_file_metadata(hf_hub_url(repository, file), token=None)
    except Exception as error:
        raise _explained(error, repository, file) from error
    if (
        stated.commit_hash is None
        or stated.size is None
        or not _SHA256.fullmatch(stated.etag or "")
    ):
        msg = (
            f"{stated.location} answers without commit, size and sha256 of {file}: is HF_ENDPOINT "
            "a Hugging Face hub?"
        )
        raise WeightsError(msg)
    return stated.commit_hash, str(stated.etag), stated.size


def _transfer(repository: str, file: str, commit: str, blob: Path, size: int) -> None:
    """Download into `<blob>.incomplete`, going on where an earlier attempt stopped."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    partial = blob.with_name(f"{blob.name}.incomplete")
    here = partial.stat().st_size if partial.exists() else 0
    if here > size:
        partial.unlink()
        here = 0
    free = shutil.disk_usage(blob.parent).free
    if free < size - here:
        msg = (
            f"{file} needs {(size - here) / 1e6:.0f} MB and {free / 1e6:.0f} MB are free at "
            f"{blob.parent}: free some, or set HF_HOME to another disk"
        )
        raise WeightsError(msg)
    while True:
        if here:
            log.info("%s: going on after %.0f of %.0f MB", file, here / 1e6, size / 1e6)
        try:
            with partial.open("ab") as target:
                http_get(
                    hf_hub_url(repository, file, revision=commit),
                    target,
                    resume_size=here,
                    headers=build_hf_headers(),
                    expected_size=size,
                    displayed_filename=file,
                )
            break
        except Exception as error:
            before, here = here, partial.stat().st_size
            if not before < here < size:  # nothing more came: trying again would not help
                raise _explained(error, repository, file) from error
    if (found := sha256_of(partial)) != blob.name:
        partial.unlink()
        msg = f"{file} has sha256 {found}, the hub states {blob.name}: it was removed, run it again"
        raise WeightsError(msg)
    os.replace(partial, blob)


def _explained(error: Any, repository: str, file: str) -> WeightsError:
    """What the hub client's families of errors mean to a user."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    what = f"{repository}/{file} could not be fetched"
    if isinstance(error, OfflineModeIsEnabled):
        return HubUnreachableError(f"{what}, HF_HUB_OFFLINE is set: unset it, or {_REMEDY}")
    if isinstance(error, GatedRepoError):
        page = f"https://huggingface.co/{repository}"
        return WeightsError(f"{what}: accept its licence at {page}, then set HF_TOKEN")
    first = str(error).strip().splitlines()[:1]
    reason = ": ".join([type(error).__name__, *first])
    if isinstance(error, HfHubHTTPError):
        return WeightsError(f"{what}, the hub refused ({reason}): {_REMEDY}")
    return HubUnreachableError(f"{what} ({reason}): {_REMEDY}. What has arrived is kept")
