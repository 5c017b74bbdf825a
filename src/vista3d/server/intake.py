"""Uploaded files, judged by their content before anything is allocated for them.

What a file is follows from its first bytes, and its name on disk from that; the name that a client
gave is only shown. A header is believed only as far as the size of the file supports it.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from vista3d.errors import InputError
from vista3d.server.coded_frames import coded_size
from vista3d.server.errors import FormatError, TooLargeError
from vista3d.server.settings import MIB, Limits
from vista3d.server.upload import Received
from vista3d.volume.archive import unpack
from vista3d.volume.nifti import case_name

Kind = Literal["nii", "nii.gz", "nrrd", "mha", "zip", "dicom"]

_HEAD = 64 * 1024
"""Bytes in which the header of a volume file must end."""

_FREE = 64 * MIB
"""Claimed bytes that need no proof: a blank scan of 300 slices packs a thousandfold."""

_DEFLATED = "1.2.840.10008.1.2.1.99"

_KNOWN = "NIfTI, NRRD, MetaImage (.mha), DICOM slices, or a zip of DICOM slices"


def place(received: Sequence[Received], folder: Path, limits: Limits) -> tuple[str, Path]:
    """Check the files of a study and move them into its folder.

    Args:
        received: in a private folder on the same disk.
        folder: of the study; exists, empty.
        limits: of the server.

    Returns:
        A name for people, and the file or folder that `vista3d.volume.read` takes.

    Raises:
        FormatError: a type that is not taken, or several volumes at once.
        TooLargeError: more voxels than allowed.
        InputError: a header that promises more than the file can hold; a damaged or hostile zip.
    """
    if not received:
        msg = f"the form has no file in the field 'files': send {_KNOWN}"
        raise FormatError(msg)
    kinds = [sniff(file.path) for file in received]
    first = received[0]
    kind = kinds[0]
    if len(received) == 1 and kind is not None and kind != "dicom":
        return display_name(first.name), _place_one(first, kind, folder, limits)
    slices = [
        file.path for file, kind in zip(received, kinds, strict=True) if kind == "dicom"
    ]  # others in a dropped folder are DICOMDIR, thumbnails, reports
    if not slices:
        msg = f"{display_name(first.name)} is of no known format: send {_KNOWN}"
        raise FormatError(msg)
    return f"DICOM series, {len(slices)} files", _place_slices(slices, folder, limits)


def display_name(name: str) -> str:
    """A client's file name for people, as `case_name`: no folders, no control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    clean = "".join(c for c in last if c.isprintable())
    return case_name(Path(clean or "scan"))[:120] or "scan"


def sniff(path: Path) -> Kind | None:
    """The type of a file by its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:4] == b"PK\x03\x04":
        return "zip"
    if head[:4] == b"NRRD":
        return "nrrd"
    if head[:2] == b"\x1f\x8b":
        return "nii.gz" if _is_nifti(_inflated(head)) else None
    if _is_nifti(head):
        return "nii"
    return "mha" if b"ElementDataFile" in head else None


def check_volume_file(path: Path, kind: Kind, limits: Limits) -> None:
    """Refuse a volume file whose header cannot be true, before its voxels are read.

    Raises:
        TooLargeError, InputError, FormatError: as `place`.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if kind in ("nii", "nii.gz"):
        shape, size = _nifti_claim(head if kind == "nii" else _inflated(head))
    else:
        _refuse_references(head, kind)
        shape, size = _itk_claim(path)
    if min(shape, default=0) < 1:
        msg = f"the header states the shape {tuple(shape)}: copy the file again"
        raise InputError(msg)
    voxels = math.prod(shape)
    _check_voxels(voxels, limits)
    here, claimed = path.stat().st_size, voxels * size
    most = here if kind == "nii" else max(_FREE, limits.ratio * here)
    if claimed > most:
        msg = (
            f"the header promises {claimed} bytes of voxels {tuple(shape)}, the file has {here}: "
            "it is truncated, damaged or a decompression bomb"
        )
        raise InputError(msg)


def _place_one(file: Received, kind: Kind, folder: Path, limits: Limits) -> Path:
    if kind == "zip":
        target = folder / "dicom"
        target.mkdir(mode=0o700)
        slices = [path for path in unpack(file.path, target) if sniff(path) == "dicom"]
        if not slices:
            msg = f"{display_name(file.name)} holds no DICOM slices: zip one CT series"
            raise FormatError(msg)
        _check_slices(slices, limits)
        return target
    check_volume_file(file.path, kind, limits)
    return file.path.rename(folder / f"scan.{kind}")


def _place_slices(slices: Iterable[Path], folder: Path, limits: Limits) -> Path:
    listed = list(slices)
    _check_slices(listed, limits)
    target = folder / "dicom"
    target.mkdir(mode=0o700)
    for number, path in enumerate(listed):
        path.rename(target / f"{number:06d}")
    return target


def _check_voxels(voxels: int, limits: Limits) -> None:
    if voxels > limits.voxels:
        msg = f"the scan has {voxels} voxels, this server takes {limits.voxels}: crop it"
        raise TooLargeError(msg)


def _check_slices(slices: Iterable[Path], limits: Limits) -> None:
    """All slices together within the limit of a scan, by their headers alone."""
    voxels = 0
    for path in slices:
        try:
            voxels += _slice_voxels(path)
        except (OSError, ValueError, EOFError, AttributeError, TypeError, KeyError) as error:
            msg = f"a DICOM slice has an unreadable header ({error}): export the series again"
            raise InputError(msg) from error
        _check_voxels(voxels, limits)


def _slice_voxels(path: Path) -> int:
    """Voxels of a DICOM file, once its frames are known to be no larger than its header says."""
    import pydicom
    from pydicom.encaps import generate_frames
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import RLELossless

    # Before the data set is read: pydicom inflates a deflated one without a limit.
    syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    if syntax == _DEFLATED:
        msg = "DICOM files in the deflated transfer syntax are refused: export uncompressed"
        raise FormatError(msg)
    tags = ["Rows", "Columns", "NumberOfFrames"]
    data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
    rows, columns, frames = (int(data.get(tag) or 1) for tag in tags)
    # A run-length decoder allocates what the header says.
    coded = syntax is not None and not syntax.is_private and syntax.is_compressed
    if coded and syntax != RLELossless:
        pixels = pydicom.dcmread(path).PixelData
        for frame in generate_frames(pixels, number_of_frames=frames):
            size = coded_size(frame)
            if size != (rows, columns):
                stated = "no size that is understood" if size is None else f"{size} pixels"
                msg = f"a compressed DICOM frame states {stated}, its header {rows, columns}"
                raise InputError(msg)
    return rows * columns * frames


def _inflated(head: bytes) -> bytes:
    """The first KiB of a gzip stream; empty where it is not one."""
    try:
        return zlib.decompressobj(31).decompress(head, 1024)
    except zlib.error:
        return b""


def _is_nifti(head: bytes) -> bool:
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def _nifti_claim(head: bytes) -> tuple[tuple[int, ...], int]:
    """Shape and bytes per voxel that a NIfTI header states.

    What lies between header and voxels (label tables, a scanner's notes) may be long, not endless.
    """
    import nibabel as nib
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    cls = nib.Nifti2Header if head[4:8] == b"n+2\0" else nib.Nifti1Header
    try:
        header = cls(head[: cls.sizeof_hdr], check=False)
        shape = tuple(int(n) for n in header.get_data_shape())
        size, before = int(header.get_data_dtype().itemsize), int(header["vox_offset"])
    except (HeaderDataError, WrapStructError, ValueError, OverflowError, KeyError) as error:
        msg = f"the NIfTI header is damaged ({error}): copy the file again"
        raise InputError(msg) from error
    if before > _FREE:
        msg = f"the NIfTI header puts its voxels behind {before} other bytes: save the image anew"
        raise InputError(msg)
    return shape, size


def _itk_claim(path: Path) -> tuple[tuple[int, ...], int]:
    """Shape and bytes per voxel that an NRRD or MetaImage header states."""
    import SimpleITK as sitk  # noqa: N813

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO" if sniff(path) == "nrrd" else "MetaImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        msg = f"the header of the image is damaged ({reason}): copy the file again"
        raise InputError(msg) from error
    bits = {"8-bit": 1, "16-bit": 2, "32-bit": 4, "64-bit": 8}
    size = bits.get(sitk.GetPixelIDValueAsString(reader.GetPixelID()).split()[0], 8)
    return tuple(reader.GetSize()), size * reader.GetNumberOfComponents()


def _refuse_references(head: bytes, kind: Kind) -> None:
    """A header may name other files of the server as its voxels: never follow it there."""
    if _names_a_file(head) if kind == "nrrd" else not _ends_locally(head):
        msg = "the header names another file for its voxels: send header and voxels in one file"
        raise FormatError(msg)


def _names_a_file(head: bytes) -> bool:
    """Whether an NRRD header does, or does not end in `head`, where nobody looks further."""
    text, *voxels = re.split(rb"\n\n|\r\n\r\n", head, maxsplit=1)
    lines = text.lower().splitlines()  # at more places than the reader: it misses nothing
    return not voxels or any(line.replace(b" ", b"").startswith(b"datafile:") for line in lines)


def _ends_locally(head: bytes) -> bool:
    """Whether a MetaImage header says that the voxels follow it.

    The word may stand in no comment before: the reader ends lines at a line feed alone.
    """
    before, word, after = head.partition(b"ElementDataFile")
    value = after.partition(b"\n")[0].partition(b"=")[2].strip()
    return bool(word) and before[-1:] in (b"", b"\n") and value == b"LOCAL"
