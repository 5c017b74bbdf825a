"""NRRD and MetaImage in, through SimpleITK; ITK's (k, j, i) in LPS becomes (i, j, k) in RAS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vista3d.errors import InputError
from vista3d.volume.label_names import names_in_nrrd
from vista3d.volume.nifti import stem
from vista3d.volume.volume import Volume, VolumeMeta

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_itk(path: Path) -> Volume:
    """Read .nrrd, .nhdr, .mha or .mhd.

    Raises:
        InputError: unreadable, truncated, a vector image, or not 3D.
    """
    import SimpleITK as sitk  # noqa: N813

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        msg = (
            f"{path.name} cannot be read ({reason}): the file is truncated or damaged, "
            "copy or convert it again"
        )
        raise InputError(msg) from error
    if image.GetNumberOfComponentsPerPixel() > 1:
        count = image.GetNumberOfComponentsPerPixel()
        msg = f"{path.name} has {count} values per voxel: pass a CT with one"
        raise InputError(msg)
    if image.GetDimension() != 3:
        msg = f"{path.name} is {image.GetDimension()}D: a 3D scan is needed"
        raise InputError(msg)
    array = np.transpose(sitk.GetArrayFromImage(image))
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    kind = "metaimage" if path.suffix.lower() in (".mha", ".mhd") else "nrrd"
    names = names_in_nrrd({key: image.GetMetaData(key) for key in image.GetMetaDataKeys()})
    return Volume(array, itk_affine(image), VolumeMeta(stem(path), kind, labels=names))


def itk_affine(image: object) -> np.ndarray:
    """[4, 4] voxel (i, j, k) -> RAS+ mm of a SimpleITK image."""
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)  # type: ignore[attr-defined]
    affine[:3, :3] = direction @ np.diag(image.GetSpacing())  # type: ignore[attr-defined]
    affine[:3, 3] = image.GetOrigin()  # type: ignore[attr-defined]
    return LPS_TO_RAS @ affine
