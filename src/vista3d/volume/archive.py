"""Zip archives of DICOM, unpacked without trusting them."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from vista3d.errors import InputError

MAX_MEMBERS = 20_000
MAX_BYTES = 8 * 2**30
MAX_RATIO = 200
"""A CT compresses at most about 50-fold (mostly air); a bomb does a thousandfold."""


def unpack(path: Path, target: Path) -> list[Path]:
    """Extract the files of a zip into `target`; flat names, so no member can leave the folder.

    Raises:
        InputError: not a zip, too large, a bomb, a path outside the archive, or a link.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            _check(path, members)
            out = []
            for number, info in enumerate(members):
                place = target / f"{number:06d}"
                _extract(archive, info, place)
                out.append(place)
            return out
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        msg = f"{path.name} cannot be unpacked ({error}): the archive is damaged or encrypted"
        raise InputError(msg) from error


def _check(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        msg = f"{path.name} holds {len(members)} files, more than {MAX_MEMBERS}"
        raise InputError(msg)
    total = sum(info.file_size for info in members)
    packed = max(1, sum(info.compress_size for info in members))
    if total > MAX_BYTES or total > MAX_RATIO * packed:
        msg = (
            f"{path.name} would unpack to {total / 2**20:.0f} MiB ({total / packed:.0f} times its "
            "size): refused as a decompression bomb"
        )
        raise InputError(msg)
    for info in members:
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts:
            msg = f"{path.name} holds the path {info.filename!r}, outside the archive: refused"
            raise InputError(msg)
        if stat.S_ISLNK(info.external_attr >> 16):
            msg = f"{path.name} holds the link {info.filename!r}: refused"
            raise InputError(msg)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> None:
    """Copy one member, stopping where it turns out larger than it said."""
    left = info.file_size
    with archive.open(info) as source, place.open("wb") as target:
        while chunk := source.read(min(2**20, left + 1)):
            left -= len(chunk)
            if left < 0:
                msg = f"{info.filename!r} is larger than the archive says: refused"
                raise InputError(msg)
            target.write(chunk)
