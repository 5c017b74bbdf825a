"""Find series in a DICOMweb archive, fetch one, store results, find them again (PS3.18)."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vista3d.dicomweb.connection import checked_url, connect, told
from vista3d.errors import ArchiveError, InputError, UsageError
from vista3d.volume.archive import MAX_BYTES, MAX_MEMBERS

if TYPE_CHECKING:
    from pydicom import Dataset

RESULT_MODALITIES = ("SEG", "RTSTRUCT")
_FIELDS = ("StudyDate", "SeriesDescription", "SeriesNumber", "NumberOfSeriesRelatedInstances")

Tell = Callable[[int], None]
"""Progress: images done."""


@dataclass(frozen=True)
class Series:
    """A series as an archive lists it; empty or 0 where the archive does not say."""

    study: str
    series: str
    modality: str
    date: str
    number: int
    description: str
    images: int


class Archive:
    """A DICOMweb service.

    Args:
        url: the root, such as https://pacs.example.org/dicom-web.

    Raises:
        UsageError: not http or https, or with a password inside.
    """

    def __init__(self, url: str) -> None:
        self.url = checked_url(url)
        self._client = connect(self.url)

    def find(self, *, limit: int = 100, **filters: str) -> list[Series]:
        """Series that match.

        Args:
            limit: at most so many.
            filters: DICOM keyword -> value, with the wildcards and ranges of QIDO-RS; empty
                values are left out.

        Raises:
            ArchiveError: unreachable, or it refuses.
        """
        wanted = {keyword: value for keyword, value in filters.items() if value}
        with told(self.url):
            answers = self._client.search_for_series(
                limit=limit, fields=list(_FIELDS), search_filters=wanted
            )
        return [_series(answer) for answer in answers]

    def study_of(self, series: str) -> str:
        """The study of a series.

        Raises:
            ArchiveError: it has no such series.
            UsageError: not a UID.
        """
        if not _is_uid(series):
            msg = f"'{series}' is no UID of a series: digits and dots, see 'vista3d pacs find'"
            raise UsageError(msg)
        found = self.find(SeriesInstanceUID=series)
        if not found:
            msg = f"{self.url} has no series {series}: see 'vista3d pacs find'"
            raise ArchiveError(msg)
        return found[0].study

    def results_of(self, series: str) -> list[Series]:
        """Segmentations and structure sets that were made on a series.

        Raises:
            ArchiveError: unreachable, it refuses, or it has no such series.
        """
        study = self.study_of(series)
        return [
            result
            for modality in RESULT_MODALITIES
            for result in self.find(StudyInstanceUID=study, Modality=modality)
            if series in self._referred(result)
        ]

    def pull(self, series: str, folder: Path, tell: Tell = lambda count: None) -> list[Path]:
        """Fetch a series, as it is stored, into a new folder; all of it or nothing.

        Raises:
            ArchiveError: unreachable, no such series, too large, or another series came.
            UsageError: the folder exists.
        """
        if folder.exists():
            msg = f"'{folder}' exists: choose another place with -o"
            raise UsageError(msg)
        study = self.study_of(series)
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            with told(self.url):
                images = self._client.iter_series(
                    study, series, media_types=(("application/dicom", "*"),)
                )
                count = _save(images, series, part, tell)
            if count == 0:
                msg = f"{self.url} sent no image of the series {series}"
                raise ArchiveError(msg)
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return sorted(folder.iterdir())

    def push(self, files: Iterable[Path], tell: Tell = lambda count: None) -> int:
        """Store DICOM files, one by one; returns how many.

        Raises:
            InputError: a file that is not DICOM; nothing is sent then.
            ArchiveError: unreachable, or it refuses a file.
        """
        paths = list(files)
        for path in paths:
            _read(path, header_only=True)
        for count, path in enumerate(paths, start=1):
            data = _read(path)
            with told(self.url):
                answer = self._client.store_instances([data])
            for failure in answer.get("FailedSOPSequence") or ():
                msg = f"{self.url} refused '{path.name}': reason {failure.get('FailureReason')}"
                raise ArchiveError(msg)
            tell(count)
        return len(paths)

    def _referred(self, result: Series) -> set[str]:
        """The series that the objects of a result refer to."""
        with told(self.url):
            objects = self._client.retrieve_series_metadata(result.study, result.series)
        return {uid for answer in objects for uid in _references(answer)}


def _is_uid(text: str) -> bool:
    from pydicom.uid import RE_VALID_UID

    return re.fullmatch(RE_VALID_UID, text) is not None


def _series(answer: dict[str, Any]) -> Series:
    data = _dataset(answer)
    return Series(
        study=str(data.get("StudyInstanceUID", "")),
        series=str(data.get("SeriesInstanceUID", "")),
        modality=str(data.get("Modality", "")),
        date=str(data.get("StudyDate") or ""),
        number=int(data.get("SeriesNumber") or 0),
        # Shown on terminals: no control characters.
        description="".join(c for c in str(data.get("SeriesDescription") or "") if c.isprintable()),
        images=int(data.get("NumberOfSeriesRelatedInstances") or 0),
    )


def _references(answer: dict[str, Any]) -> Iterator[str]:
    """Series that a segmentation (PS3.3 C.12.1) or a structure set (C.8.8.5) refers to."""
    data = _dataset(answer)
    for item in data.get("ReferencedSeriesSequence") or ():
        yield str(item.SeriesInstanceUID)
    for frame in data.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for item in study.get("RTReferencedSeriesSequence") or ():
                yield str(item.SeriesInstanceUID)


def _dataset(answer: dict[str, Any]) -> Dataset:
    import pydicom

    # Bulk data is left where it is: an answer does not decide which address is called.
    return pydicom.Dataset.from_json(answer, bulk_data_uri_handler=lambda tag, vr, uri: None)


def _save(images: Iterable[Dataset], series: str, folder: Path, tell: Tell) -> int:
    """Numbered files: names from the archive would have to be trusted."""
    count = size = 0
    for count, image in enumerate(images, start=1):
        if str(image.get("SeriesInstanceUID")) != series:
            msg = f"the archive sent an image of another series than {series}"
            raise ArchiveError(msg)
        path = folder / f"{count:06d}.dcm"
        image.save_as(path, enforce_file_format=True)
        size += path.stat().st_size
        if count > MAX_MEMBERS or size > MAX_BYTES:
            msg = f"the series {series} is larger than {MAX_MEMBERS} images or {MAX_BYTES} bytes"
            raise ArchiveError(msg)
        tell(count)
    return count


def _read(path: Path, *, header_only: bool = False) -> Dataset:
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        return pydicom.dcmread(path, stop_before_pixels=header_only)
    except (InvalidDicomError, OSError, EOFError) as error:
        msg = f"'{path.name}' is no DICOM file: only DICOM can be stored in an archive"
        raise InputError(msg) from error
