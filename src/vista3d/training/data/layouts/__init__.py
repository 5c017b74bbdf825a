"""How data sets list their files; one door for all layouts."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

from vista3d.errors import InputError
from vista3d.training.data.layouts.csv_list import is_csv_list, read_csv
from vista3d.training.data.layouts.datalist import read_datalist
from vista3d.training.data.layouts.listing import Entry, Listing, read_json
from vista3d.training.data.layouts.nnunet import read_nnunet

__all__ = ["Entry", "Listing", "distinct", "find_listings"]

log = logging.getLogger(__name__)


def find_listings(path: Path) -> list[Listing]:
    """Every data set at `path`.

    Args:
        path: a list (.json, .csv), the folder of one data set (with `dataset.json`), or a folder of
            data sets and lists.

    Raises:
        InputError: nothing there, a list that cannot be read, or two data sets of one name.
    """
    if not path.exists():
        msg = f"'{path}' does not exist: check the path"
        raise InputError(msg)
    if path.is_file():
        if path.suffix.lower() not in (".json", ".csv"):
            msg = f"'{path}' is no list of scans: give a folder of them, a datalist (.json) or .csv"
            raise InputError(msg)
        return [_read(path)]
    if (path / "dataset.json").is_file():
        return [_read(path / "dataset.json")]
    files = [*sorted(path.glob("*/dataset.json")), *filter(_is_list, sorted(path.iterdir()))]
    if not files:
        msg = (
            f"{path} holds no data set: point at a folder of nnU-Net raw data sets "
            "(DatasetNNN_*/dataset.json), at one of them, or at a MONAI datalist (.json) or .csv"
        )
        raise InputError(msg)
    return distinct([_read(file) for file in files])


def distinct(listings: list[Listing]) -> list[Listing]:
    """The data sets, of which no two have one name: their scans could not be told apart.

    Raises:
        InputError: two have.
    """
    for one, other in itertools.combinations(listings, 2):
        if one.name == other.name:
            msg = (
                f"{one.file} and {other.file} are both called {one.name!r}: rename one, or point "
                "at one of them"
            )
            raise InputError(msg)
    return listings


def _is_list(file: Path) -> bool:
    """Whether a file beside data sets is a list; notes, volumes and splits are passed over.

    What cannot be read is passed over with a warning: pointed at, it is refused with the reason.
    """
    suffix = file.suffix.lower()
    if suffix not in (".json", ".csv") or not file.is_file():
        return False
    try:
        return is_csv_list(file) if suffix == ".csv" else "training" in read_json(file)
    except InputError as error:
        log.warning("passed over: %s", error)
        return False


def _read(file: Path) -> Listing:
    if file.suffix.lower() == ".csv":
        return read_csv(file)
    content = read_json(file)
    return read_datalist(file, content) if "training" in content else read_nnunet(file, content)
