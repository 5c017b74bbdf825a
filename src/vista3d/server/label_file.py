"""A label map that a client sends as a file."""

from __future__ import annotations

from pathlib import Path

from vista3d.server.errors import FormatError
from vista3d.server.intake import check_volume_file, sniff
from vista3d.server.settings import Limits
from vista3d.volume import Geometry, Volume, read_label_map


def read_label_file(path: Path, geometry: Geometry, limits: Limits) -> Volume:
    """Labels uint16 [i, j, k] on a scan's grid, with the names that the file states.

    Args:
        path: NIfTI, NRRD (also of 3D Slicer) or MetaImage, by its first bytes; it is renamed.
        geometry: of the scan.
        limits: of the server.

    Raises:
        FormatError: of another type.
        InputError, GeometryError: as `vista3d.volume.read_label_map`.
    """
    kind = sniff(path)
    if kind not in ("nii", "nii.gz", "nrrd", "mha"):
        msg = "a mask or label map is NIfTI (.nii, .nii.gz), NRRD or MetaImage, and the request's "
        msg += "body is the file itself (curl --data-binary @FILE), no form"
        raise FormatError(msg)
    check_volume_file(path, kind, limits)
    return read_label_map(path.rename(path.with_name(f"label.{kind}")), geometry)
