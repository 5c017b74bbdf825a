"""NIfTI in: any affine, nothing scaled to float64 on the way."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from vista3d.errors import GeometryError, InputError
from vista3d.volume.label_names import names_in_nifti
from vista3d.volume.volume import Volume, VolumeMeta, without_trailing_axes

_OTHER_UNITS = {1: "metres", 3: "micrometres"}
"""Of `xyzt_units`; 2 is mm, and most files that leave it out mean mm, too."""
_SUFFIXES = (".nii.gz", ".seg.nrrd", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip", ".dcm")


def stem(path: Path) -> str:
    """File name without its (double) extension."""
    name = path.name
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def case_name(path: Path) -> str:
    """What a scan is called, in the names of its results and on the page.

    nnU-Net numbers the channels of a case; CT is its only one.
    """
    name = stem(path)
    return name.removesuffix("_0000") or name


def read_nifti(path: Path, timepoint: int | None = None) -> Volume:
    """Read .nii or .nii.gz.

    The sform is preferred over the qform, as nibabel, ITK-SNAP and FreeSurfer do; a conflict
    between them is stated in a warning.

    Raises:
        InputError: not a NIfTI file, truncated, or no such time point.
        GeometryError: neither form gives a usable affine.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nib.load(path)  # type: ignore[attr-defined]
        if not isinstance(image, nib.Nifti1Pair):  # type: ignore[attr-defined]
            msg = f"{path.name} is {type(image).__name__}, not NIfTI"
            raise InputError(msg)
        array = without_trailing_axes(_voxels(image))
    except (EOFError, zlib.error, OSError, ValueError, ImageFileError, HeaderDataError) as error:
        msg = (
            f"{path.name} cannot be read as NIfTI ({error}): the file is truncated or damaged, "
            "copy or convert it again"
        )
        raise InputError(msg) from error
    if array.ndim == 4 and timepoint is not None:
        if not 0 <= timepoint < array.shape[-1]:
            msg = f"timepoint {timepoint} is outside 0..{array.shape[-1] - 1} of {path.name}"
            raise InputError(msg)
        array = array[..., timepoint]
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all():
        msg = f"{path.name}: the affine has values that are not finite"
        raise GeometryError(msg)
    header = image.header
    meta = VolumeMeta(
        stem(path), "nifti", warnings=(*_form_warnings(header), *_unit_warnings(header)),
        header=header,
        labels=names_in_nifti(header),
    )  # fmt: skip
    return Volume(array, affine, meta)


def _voxels(image: object) -> np.ndarray:
    """Stored integers where slope 1 and an integer intercept allow it, float32 otherwise."""
    proxy = image.dataobj  # type: ignore[attr-defined]
    if proxy.dtype.fields is not None:
        return np.empty((1, 1, 1), proxy.dtype)  # RGB: refused by checks with its own message
    slope, intercept = float(proxy.slope), float(proxy.inter)
    if not np.isfinite(slope) or slope == 0:
        slope, intercept = 1.0, 0.0
    raw = np.asarray(proxy.get_unscaled())
    if slope == 1 and intercept == 0:
        return raw.astype(np.float32) if raw.dtype == np.float64 else raw
    if slope == 1 and intercept.is_integer() and raw.dtype.kind in "iu" and raw.dtype.itemsize <= 2:
        low, high = int(raw.min()) + intercept, int(raw.max()) + intercept
        if low >= -32768 and high <= 32767:
            return (raw.astype(np.int32) + int(intercept)).astype(np.int16)
    return raw.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _form_warnings(header: object) -> tuple[str, ...]:
    qform, qcode = header.get_qform(coded=True)  # type: ignore[attr-defined]
    sform, scode = header.get_sform(coded=True)  # type: ignore[attr-defined]
    if not qcode and not scode:
        return ("neither qform nor sform is set: orientation assumed from the voxel size alone",)
    if qcode and scode and not np.allclose(qform, sform, atol=1e-2):
        gap = np.abs(np.asarray(qform) - np.asarray(sform)).max()
        return (f"qform and sform disagree by up to {gap:.2f} mm: the sform is used",)
    return ()


def _unit_warnings(header: object) -> tuple[str, ...]:
    unit = _OTHER_UNITS.get(int(header["xyzt_units"]) & 7)  # type: ignore[index]
    if unit is None:
        return ()
    size = " x ".join(f"{step:g}" for step in header.get_zooms()[:3])  # type: ignore[attr-defined]
    return (
        f"the header gives lengths in {unit}, they are read as mm (voxels of {size}): correct its "
        "unit or its affine",
    )
