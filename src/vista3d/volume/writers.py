"""Label maps out, on the grid of the scan they belong to, header and affine bit-exact."""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from vista3d.errors import UsageError
from vista3d.volume.geometry import Geometry
from vista3d.volume.itk import LPS_TO_RAS
from vista3d.volume.nifti import stem
from vista3d.volume.volume import Volume

_GZIP_LEVEL = 1
"""Label maps at level 1 are 10% larger than at 9 and are written ten times as fast."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix, moved to `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.name[len(stem(path)) :]
    temporary = path.with_name(f".{stem(path)}.{secrets.token_hex(4)}.part{suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def require_grid(path: Path, geometry: Geometry) -> None:
    """Refuse a file that cannot hold a grid; ask before the work.

    Raises:
        UsageError: sheared axes (a gantry tilt), and NRRD or MetaImage as ITK writes them.
    """
    if geometry.is_sheared and path.name.lower().endswith((".nrrd", ".mha")):
        msg = f"the axes of this scan are sheared, '{path.name}' cannot hold them: use .nii.gz"
        raise UsageError(msg)


def write_labels(
    path: Path,
    labels: np.ndarray,
    like: Volume,
    *,
    extension: bytes | None = None,
    compress: bool = True,
) -> None:
    """Write a label map.

    Args:
        path: .nii, .nii.gz, .nrrd or .mha.
        labels: uint8 or uint16 [i, j, k] on the grid of `like`.
        like: the scan. From NIfTI to NIfTI its header is kept, except for the fields that describe
            the voxel type and the display range.
        extension: content of a NIfTI header extension (ecode 0), such as label names.
        compress: NRRD and MetaImage; some readers in browsers know raw voxels only.

    Raises:
        UsageError: unknown suffix, labels of another shape than the scan, or `require_grid`'s.
    """
    if labels.shape != like.array.shape[:3]:
        msg = f"labels of shape {labels.shape} do not belong to a scan of {like.array.shape}"
        raise UsageError(msg)
    lower = path.name.lower()
    if lower.endswith((".nii", ".nii.gz")):
        _write_nifti(path, labels, like, extension)
    elif lower.endswith((".nrrd", ".mha")):
        _write_itk(path, labels, like, compress)
    else:
        # Not .mhd: its second file may belong to another header, and two cannot be renamed as one.
        msg = f"{path.name}: label maps are written as .nii, .nii.gz, .nrrd or .mha (not .mhd)"
        raise UsageError(msg)


def _write_nifti(path: Path, labels: np.ndarray, like: Volume, extension: bytes | None) -> None:
    import nibabel as nib
    from nibabel.nifti1 import Nifti1Extension, Nifti1Extensions

    source = like.meta.header
    header = nib.Nifti1Header() if source is None else nib.Nifti1Header.from_header(source).copy()
    if isinstance(source, nib.Nifti2Header):
        header = source.copy()
    if source is None:
        header.set_data_shape(labels.shape)
        header.set_sform(like.affine, code=1)
        header.set_qform(like.affine, code=1, strip_shears=True)
        header.set_xyzt_units("mm")
    header.set_data_shape(labels.shape)
    header.set_data_dtype(labels.dtype)
    header["cal_min"] = header["cal_max"] = 0
    header["scl_slope"], header["scl_inter"] = 1, 0
    extensions = [] if extension is None else [Nifti1Extension(0, extension)]
    header.extensions = Nifti1Extensions(extensions)
    header["magic"] = header.single_magic if hasattr(header, "single_magic") else header["magic"]
    # Size of the fixed part + 4 flag bytes + extensions, as the standard asks.
    header["vox_offset"] = header.sizeof_hdr + 4 + header.extensions.get_sizeondisk()
    with atomic_path(path) as temporary, _opened(temporary) as file:
        header.write_to(file)
        file.write(b"\0" * max(0, int(header["vox_offset"]) - _position(file)))
        for k in range(labels.shape[2]):
            file.write(labels[:, :, k].astype(header.get_data_dtype()).tobytes(order="F"))


def _position(file: IO[bytes]) -> int:
    return int(file.tell())


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.name.lower().endswith(".gz"):
        # mtime 0 and no name: the same labels give the same bytes, and no path leaks.
        with path.open("wb") as raw, gzip.GzipFile(
            "", "wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0
        ) as file:  # fmt: skip
            yield file  # type: ignore[misc]
    else:
        with path.open("wb") as file:
            yield file


def _write_itk(path: Path, labels: np.ndarray, like: Volume, compress: bool) -> None:
    import SimpleITK as sitk  # noqa: N813

    geometry = like.geometry
    require_grid(path, geometry)
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.transpose(2, 1, 0)))
    affine = LPS_TO_RAS @ geometry.affine
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / np.array(geometry.spacing)).ravel().tolist())
    with atomic_path(path) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=compress)
