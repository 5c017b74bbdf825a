"""Public CT scans fetched by URL, to try the software on real data.

Nothing is fetched unless a sample is asked for by name. A sample whose publisher states a sha256 is
checked against it. `totalseg_abdomen` has none: its URL names a git commit, its file is opened and
checked to be a CT, and its sha256 is reported as found.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from vista3d.errors import InputError, UsageError

log = logging.getLogger(__name__)

Tell = Callable[[int, int], None]
"""Progress: bytes here, bytes in all (0 where the server does not say)."""

_CHUNK = 1 << 20
_SLICER = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"
_TOTALSEG = (
    "https://raw.githubusercontent.com/wasserth/TotalSegmentator/"
    "0effae9d718aab0c118ce1f8982dcd16b9e32a50/tests/reference_files/example_ct.nii.gz"
)


@dataclass(frozen=True)
class Sample:
    """A public scan.

    Attributes:
        name: as on the command line.
        file: name of the file written.
        url: where it is.
        sha256: stated by the publisher; "" where none is stated.
        licence: as the publisher states it.
        about: one line for people.
    """

    name: str
    file: str
    url: str
    sha256: str
    licence: str
    about: str


def _slicer(name: str, file: str, sha256: str, licence: str, about: str) -> Sample:
    """A sample of 3D Slicer's store, where the URL of a file is its sha256."""
    return Sample(name, file, _SLICER + sha256, sha256, licence, about)


_NO_LICENCE = "sample data of the 3D Slicer project (no separate licence stated)"
SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        sample.name: sample
        for sample in (
            _slicer(
                "ct_chest", "CT-chest.nrrd",
                "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e",
                _NO_LICENCE, "chest and upper abdomen, with contrast (3D Slicer CTChest)",
            ),
            _slicer(
                "ct_liver", "CTLiver.nrrd",
                "e16eae0ae6fefa858c5c11e58f0f1bb81834d81b7102e021571056324ef6f37e",
                "CC BY-SA 4.0", "abdomen and pelvis, thin slices, liver tumours "
                "(Medical Segmentation Decathlon liver_100, by way of 3D Slicer)",
            ),
            _slicer(
                "cta_cardio", "CTA-cardio.nrrd",
                "3b0d4eb1a7d8ebb0c5a89cc0504640f76a030b4e869e33ff34c564c3d3b88ad2",
                _NO_LICENCE, "heart and great vessels, arterial phase (3D Slicer CTACardio)",
            ),
            Sample(
                "totalseg_abdomen", "totalseg_abdomen.nii.gz", _TOTALSEG, "", "Apache-2.0",
                "abdomen and pelvis at 3 mm, 2 MB (TotalSegmentator test image)",
            ),
        )
    }
)  # fmt: skip
DEFAULT = "ct_chest"


def find_sample(name: str) -> Sample:
    """The sample of a name.

    Raises:
        UsageError: no such sample.
    """
    if name not in SAMPLES:
        msg = f"unknown sample {name!r}: choose {', '.join(SAMPLES)}"
        raise UsageError(msg)
    return SAMPLES[name]


def fetch(sample: Sample, folder: Path, tell: Tell | None = None, timeout: float = 30.0) -> Path:
    """Download a sample, or find it already there.

    An interrupted download leaves a hidden `.part` file, from which the next call resumes. The
    final name appears only after the checksum agreed.

    Args:
        sample: what to fetch.
        folder: where to write; created.
        tell: called with progress.
        timeout: seconds without an answer before giving up.

    Returns:
        Path of the complete file.

    Raises:
        InputError: no network, a refusing server, a broken connection, a wrong checksum or a file
            that is not a CT. The message says what to do.
    """
    path = folder / sample.file
    if path.exists():
        _verify(sample, path, f"remove or rename {path} and run again")
        log.info("%s is already there", path)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{sample.file}.part"
    try:
        _download(sample.url, part, tell, timeout)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(_explain(sample, path, error)) from error
    try:
        _verify(sample, part, "the download was discarded; try again later")
        if not sample.sha256:
            _check_opens(part, path)
    except InputError:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)
    return path


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(url: str, part: Path, tell: Tell | None, timeout: float) -> None:
    """Append what is missing of `url` to `part`."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "vista3d"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        # 416: the part is not a beginning of the file; start over.
        part.unlink()
        return _download(url, part, tell, timeout)
    with response:
        resumed = response.status == 206
        have = have if resumed else 0
        total = have + int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if tell is not None:
                    tell(have, total)
    if have < total:
        msg = f"the connection broke off after {have} of {total} bytes"
        raise OSError(msg)
    return None


def _verify(sample: Sample, path: Path, remedy: str) -> None:
    if not sample.sha256:
        return
    found = sha256_of(path)
    if found != sample.sha256:
        msg = (
            f"{path.name} from {sample.url} has the wrong checksum: sha256 {found}, "
            f"expected {sample.sha256}; {remedy}"
        )
        raise InputError(msg)


def _check_opens(part: Path, path: Path) -> None:
    """Open an unpinned download as a CT under its real suffix."""
    from vista3d.volume import check_ct, read

    trial = path.with_name(f".trial.{path.name}")
    part.replace(trial)
    try:
        check_ct(read(trial))
    finally:
        trial.replace(part)


def _explain(sample: Sample, path: Path, error: Exception) -> str:
    """Why a fetch failed, in one sentence, and two ways out."""
    reason = getattr(error, "reason", None) or error
    if isinstance(error, urllib.error.HTTPError):
        reason = f"HTTP {error.code} {error.reason}"
    return (
        f"cannot fetch {sample.name} from {sample.url} ({reason}). Run again to resume; behind a "
        f"proxy set HTTPS_PROXY; without network, copy the file to {path}, or use "
        "'vista3d phantom -o DIR' for a synthetic scan"
    )
