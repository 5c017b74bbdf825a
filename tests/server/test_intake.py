"""Hostile and damaged uploads: refused before memory is spent, and nothing of them is kept."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from tests.cli.fake import series
from tests.server.conftest import body_array, nifti_bytes, stored_files, upload
from vista3d.errors import InputError
from vista3d.server.coded_frames import coded_size
from vista3d.server.errors import FormatError, TooLargeError
from vista3d.server.intake import display_name, place
from vista3d.server.settings import Limits
from vista3d.server.upload import Received

MIB = 2**20


def lying_nifti(shape, payload: bytes = b"") -> bytes:
    """A NIfTI header that promises a shape, and what really follows."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header["dim"][:4] = [3, *shape]
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    header["pixdim"][1:4] = 1
    return header.binaryblock + bytes(4) + payload


def zip_of(members: dict[str, bytes], compression=zipfile.ZIP_DEFLATED) -> bytes:
    """A zip in memory; names are taken as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


J2K = b"\xff\x4f\xff\x51" + struct.pack(">2H4I", 41, 0, 32, 16, 0, 0) + bytes(20)
"""The start of a codestream of 16 rows and 32 columns."""


def jp2(free: bytes = b"") -> bytes:
    """A JP2 file around it, with a box of free space before."""
    boxes = [(b"jP  ", b"\r\n\x87\n"), (b"free", free), (b"jp2c", J2K)]
    return b"".join(struct.pack(">I4s", 8 + len(data), kind) + data for kind, data in boxes)


def dicom_files(tmp_path) -> list[bytes]:
    folder = series(tmp_path / "series", [0.0, 2.0, 4.0])
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.fixture
def refused(client, service):
    """Upload something that must be refused; the answer, after a look that nothing stayed."""

    def send(data: bytes, name: str, status: int) -> str:
        before = stored_files(service.storage.root), len(client.get("/api/v1/studies").json())
        answer = upload(client, data, name, status)
        after = stored_files(service.storage.root), len(client.get("/api/v1/studies").json())
        assert after == before
        return answer["message"]

    return send


def test_a_nifti_that_promises_more_than_it_holds(refused):
    message = refused(lying_nifti((400, 400, 400), bytes(1000)), "a.nii", 422)
    assert "promises" in message


def test_a_packed_nifti_that_promises_more_than_it_can_hold(refused):
    assert "promises" in refused(gzip.compress(lying_nifti((700, 700, 700))), "a.nii.gz", 422)


def test_more_voxels_than_the_limit(refused):
    assert "voxels" in refused(gzip.compress(lying_nifti((30000, 30000, 30000))), "a.nii.gz", 413)


@pytest.mark.parametrize("shape", [(-5, 10, 10), (0, 10, 10), (32767, 32767, 32767)])
def test_impossible_shapes(client, shape):
    answer = upload(
        client, lying_nifti(shape, bytes(5000)), "a.nii", expect=422 if min(shape) < 1 else 413
    )
    assert answer["message"]


def test_a_bomb_is_not_inflated(tmp_path):
    """128 MiB of zeros behind an honest header of a MiB: neither read nor unpacked."""
    path = tmp_path / "bomb"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(packer.compress(lying_nifti((100, 100, 50))))
        for _ in range(32):
            file.write(packer.compress(bytes(4 * MIB)))
        file.write(packer.flush())
    tracemalloc.start()
    place([Received("files", "bomb.nii.gz", path)], _folder(tmp_path), Limits())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB


def test_a_nifti_with_long_notes_before_its_voxels(client, service):
    image = nib.Nifti1Image(body_array(), np.diag([3.0, 3, 4, 1]))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("afni", b"a" * 8000))
    found = upload(client, gzip.compress(image.to_bytes()), "a.nii.gz")
    assert tuple(found["shape"]) == image.shape


def test_a_nifti_with_endless_notes_before_its_voxels(refused):
    header = bytearray(lying_nifti((8, 8, 8), bytes(1024)))
    struct.pack_into("<f", header, 108, 3e9)
    assert "other bytes" in refused(gzip.compress(bytes(header)), "a.nii.gz", 422)


def test_a_truncated_nifti(refused, scan_bytes):
    assert "truncated" in refused(scan_bytes[: len(scan_bytes) // 2], "a.nii.gz", 422)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x1f\x8b\x08\x00garbage", bytes(400), b"<html><script>"]
)
def test_what_is_no_image(refused, data):
    assert "no known format" in refused(data, "a.nii.gz", 415)


@pytest.mark.parametrize("line", [b"data file: /etc/passwd", b"datafile:/etc/passwd",
                                  b"Data File: ../secret.raw"])  # fmt: skip
def test_an_nrrd_that_names_a_file_of_the_server(refused, line):
    header = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 8 8 8\nencoding: raw\n" + line + b"\n\n"
    assert "another file" in refused(header, "a.nrrd", 415)


@pytest.mark.parametrize("place_", [b"/etc/passwd", b"LIST", b"secret%03d.raw 1 8 1"])
def test_a_metaimage_that_names_a_file_of_the_server(refused, place_):
    header = (
        b"ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_SHORT\n"
        b"ElementDataFile = " + place_ + b"\n"
    )
    assert "another file" in refused(header, "a.mha", 415)


def test_an_nrrd_whose_header_goes_on_where_nobody_looks(refused):
    header = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 8 8 8\nencoding: raw\n"
    notes = b"# nothing\n" * 7000
    assert "another file" in refused(header + notes + b"data file: /etc/passwd\n\n", "a.nrrd", 415)


@pytest.mark.parametrize("word", [b"Comment = ElementDataFile = LOCAL\n",
                                  b"Comment = x\rElementDataFile = LOCAL\n",
                                  b"Name = x\x0bElementDataFile = LOCAL\n"])  # fmt: skip
def test_a_metaimage_whose_notes_say_local(refused, word):
    header = b"ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_SHORT\n"
    assert "another file" in refused(
        header + word + b"ElementDataFile = /etc/passwd\n", "a.mha", 415
    )


def test_an_nrrd_that_promises_more_than_it_can_hold(refused):
    header = (
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 800 800 800\nencoding: gzip\n"
        b"endian: little\n\n"
    ) + gzip.compress(bytes(1000))
    assert "promises" in refused(header, "a.nrrd", 422)


@pytest.mark.parametrize(
    "name", ["../../evil.dcm", "/etc/evil.dcm", "a/../../evil", "..\\evil.dcm"]
)
def test_zip_slip(refused, tmp_path, name):
    data = zip_of({name: dicom_files(tmp_path)[0]})
    assert "outside the archive" in refused(data, "a.zip", 422)
    assert not list(tmp_path.parent.rglob("evil*"))


def test_zip_bomb(refused):
    data = zip_of({"a.dcm": bytes(80 * MIB)})
    assert "bomb" in refused(data, "a.zip", 422)


def test_a_zip_with_a_link(refused):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link.dcm")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "link" in refused(out.getvalue(), "a.zip", 422)


def test_a_zip_without_dicom(refused):
    assert "no DICOM" in refused(zip_of({"readme.txt": b"hello"}), "a.zip", 415)


def test_dicom_slices_that_claim_too_many_voxels(tmp_path):
    (data, *_) = dicom_files(tmp_path)
    slice_ = pydicom.dcmread(io.BytesIO(data))
    slice_.Rows = slice_.Columns = 65000
    path = tmp_path / "slice"
    slice_.save_as(path)
    with pytest.raises(TooLargeError):
        place([Received("files", "a.dcm", path)], _folder(tmp_path), Limits())


def test_deflated_dicom_is_not_inflated(tmp_path):
    (data, *_) = dicom_files(tmp_path)
    slice_ = pydicom.dcmread(io.BytesIO(data))
    slice_.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    path = tmp_path / "slice"
    slice_.save_as(path)
    with pytest.raises(FormatError, match="deflated"):
        place([Received("files", "a.dcm", path)], _folder(tmp_path), Limits())


def test_a_compressed_frame_that_claims_more_than_its_header(corpus, tmp_path):
    """JPEG 2000 decoders allocate what the codestream states."""
    source = next(path for path in sorted((corpus / "dicom").rglob("*")) if path.is_file())
    data = source.read_bytes()
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(data)
    (tmp_path / "a").mkdir()
    place([Received("files", "a.dcm", good)], tmp_path / "a", Limits())
    at = data.index(b"\xff\x4f\xff\x51") + 8
    bad.write_bytes(data[:at] + struct.pack(">2I", 60000, 60000) + data[at + 8 :])
    with pytest.raises(InputError, match="60000"):
        place([Received("files", "a.dcm", bad)], _folder(tmp_path), Limits())
    bad.write_bytes(data.replace(b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x52", 1))
    with pytest.raises(InputError, match="no size"):
        place([Received("files", "a.dcm", bad)], tmp_path / "study", Limits())


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (b"\xff\xd8\xff\xf7\x00\x0b\x10\x02\x00\x01\x00\x01\x01\x11\x00", (512, 256)),
        (b"\xff\xd8\xff\xe0\x00\x04xx\xff\xc1\x00\x0b\x0c\x00\x10\x00\x20\x01", (16, 32)),
        (b"\xff\xd8\xff\xff\xff\xc1\x00\x0b\x0c\x00\x10\x00\x20\x01", (16, 32)),
        (jp2(bytes(600)), (16, 32)),
        (jp2(J2K[:4] + bytes(600)), (16, 32)),
        (jp2()[:-40], None),
        (b"\xff\xd8\xff\xf7", None),
        (b"\xff\xd8" + b"\xff\xe0\x00\x00" * 9, None),
        (b"", None),
    ],
    ids=["jpeg-ls", "jpeg", "filled up", "jp2", "decoy", "cut jp2", "cut", "no frame", "empty"],
)
def test_sizes_of_coded_frames(frame, size):
    assert coded_size(frame) == size


def test_dicom_slices_and_their_zip_are_the_same_study(client, tmp_path):
    files = dicom_files(tmp_path)
    loose = client.post(
        "/api/v1/studies",
        files=[("files", (f"PAT^Doe_{n}", data)) for n, data in enumerate(files)]
        + [("files", ("DICOMDIR", b"junk"))],
    ).json()
    packed = upload(client, zip_of({f"x/{n}": d for n, d in enumerate(files)}), "series.zip")
    assert loose["shape"] == packed["shape"] == [16, 16, 3]
    assert loose["affine"] == packed["affine"]
    assert loose["format"] == packed["format"] == "dicom"
    assert loose["name"] == "DICOM series, 3 files"
    assert packed["name"] == "series"


def test_formats_agree(client, tmp_path, study):
    image = sitk.GetImageFromArray(body_array().transpose(2, 1, 0))
    image.SetSpacing((3, 3, 4))
    image.SetOrigin((-80, -70, -50))
    for suffix in ("nrrd", "mha"):
        path = tmp_path / f"a.{suffix}"
        sitk.WriteImage(image, str(path), useCompression=True)
        found = upload(client, path.read_bytes(), "renamed.txt")
        assert found["affine"] == study["affine"]
        assert found["shape"] == study["shape"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\Ct 1.nii.gz", "Ct 1"),
        ("a\x00b\r\nSet-Cookie: x.nii", "abSet-Cookie: x"),
        ("", "scan"),
        ("x" * 500 + ".nii", "x" * 120),
        ("crlm_1006_0000.nii.gz", "crlm_1006"),
    ],
)
def test_names_for_people_hold_no_folder_and_no_control_character(name, shown):
    assert display_name(name) == shown


def test_names_on_disk_are_not_the_clients(client, service):
    study = upload(client, nifti_bytes(body_array()), "Doe^Jane 1970.nii.gz")
    folder = service.storage.study_folder(study["id"])
    assert stored_files(folder) == {"scan.nii.gz"}
    assert (folder.stat().st_mode & 0o777) == 0o700


def _folder(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    return folder
