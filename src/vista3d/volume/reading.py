"""One door for every input format."""

from __future__ import annotations

import tempfile
from pathlib import Path

from vista3d.errors import InputError
from vista3d.volume.archive import unpack
from vista3d.volume.dicom import read_dicom
from vista3d.volume.dicom_file import is_dicom
from vista3d.volume.itk import read_itk
from vista3d.volume.nifti import read_nifti, stem
from vista3d.volume.volume import Volume

_NIFTI = (".nii", ".nii.gz")
_ITK = (".nrrd", ".nhdr", ".mha", ".mhd")


def read(path: Path | str, *, timepoint: int | None = None, series: str | None = None) -> Volume:
    """Read an image: .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, a DICOM folder, file or zip.

    Args:
        path: file or folder.
        timepoint: which volume of a 4D NIfTI.
        series: SeriesInstanceUID, where a DICOM folder has several.

    Returns:
        The volume as stored; `check_ct` says whether it can be segmented.

    Raises:
        InputError: missing, unreadable, truncated or of an unknown format.
        GeometryError: the slices or the affine make no grid.
    """
    path = Path(path)
    if not path.exists():
        msg = f"{path} does not exist"
        raise InputError(msg)
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        return read_dicom(files, path.resolve().name, series)
    lower = path.name.lower()
    if series is not None and lower.endswith((*_NIFTI, *_ITK)):
        msg = f"{path.name} is one image: a series is chosen in a DICOM folder or zip"
        raise InputError(msg)
    if path.stat().st_size == 0:
        msg = f"{path.name} is empty (0 bytes): copy it again"
        raise InputError(msg)
    if lower.endswith(_NIFTI):
        return read_nifti(path, timepoint)
    if lower.endswith(_ITK):
        return read_itk(path)
    if lower.endswith(".zip"):
        with tempfile.TemporaryDirectory(prefix="vista3d-") as folder:
            return read_dicom(unpack(path, Path(folder)), stem(path), series)
    if is_dicom(path):
        return read_dicom([path], stem(path), series)
    msg = (
        f"{path.name} is of no known format: give .nii, .nii.gz, .nrrd, .mha, .mhd, or a DICOM "
        "folder or .zip"
    )
    raise InputError(msg)
