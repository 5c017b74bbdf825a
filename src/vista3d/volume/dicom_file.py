"""Files that look like DICOM, without opening them as such."""

from __future__ import annotations

from pathlib import Path

DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")


def is_dicom(path: Path) -> bool:
    """A file that looks like a DICOM slice, by suffix or by the DICM mark at byte 128."""
    if not path.is_file() or path.name.startswith("."):
        return False
    if path.name.lower().endswith(DICOM_SUFFIXES):
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
