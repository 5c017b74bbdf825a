"""How data sets list their files; one door for all layouts."""

from __future__ import annotations

from pathlib import Path

from vista3d.errors import InputError
from vista3d.training.data.layouts.csv_list import read_csv
from vista3d.training.data.layouts.datalist import read_datalist
from vista3d.training.data.layouts.listing import Entry, Listing, read_json
from vista3d.training.data.layouts.nnunet import read_nnunet

__all__ = ["Entry", "Listing", "find_listings"]


def find_listings(path: Path) -> list[Listing]:
    """Every data set at `path`.

    Args:
        path: a list (.json, .csv), the folder of one data set (with `dataset.json`), or a folder of
            data sets and lists.

    Raises:
        InputError: nothing there, or a list that cannot be read.
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
    files = sorted(path.glob("*/dataset.json")) if path.is_dir() else []
    files += sorted(file for file in path.glob("*.csv"))
    files += sorted(file for file in path.glob("*.json") if "training" in read_json(file))
    if not files:
        msg = (
            f"{path} holds no data set: point at a folder of nnU-Net raw data sets "
            "(DatasetNNN_*/dataset.json), at one of them, or at a MONAI datalist (.json) or .csv"
        )
        raise InputError(msg)
    return [_read(file) for file in files]


def _read(file: Path) -> Listing:
    if file.suffix == ".csv":
        return read_csv(file)
    content = read_json(file)
    return read_datalist(file, content) if "training" in content else read_nnunet(file, content)
