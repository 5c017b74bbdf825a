"""The formats of a segmentation: what each is called, how a file of it ends, and what writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vista3d.results.dicom_seg import write_dicom_seg
from vista3d.results.dicom_source import Makers
from vista3d.results.label_map import write_label_map
from vista3d.results.meshes import write_stl_zip
from vista3d.results.per_class import write_per_class
from vista3d.results.profile import Profile
from vista3d.results.rtstruct import write_rtstruct
from vista3d.results.seg_nrrd import write_seg_nrrd

if TYPE_CHECKING:
    from vista3d.anatomy import Structure
    from vista3d.volume import Volume


@dataclass(frozen=True, eq=False)
class Labelled:
    """A segmentation with what every format needs to know of it.

    Attributes:
        labels: global class ids (i, j, k) on the grid of `volume`, 0 is background.
        volume: the scan.
        ids: the classes that were asked for.
        model: name of the network.
        makers: in which a person had a hand; none by default.
        profile: of the labels, where it is known already.
    """

    labels: NDArray[np.integer]
    volume: Volume
    ids: Sequence[int | Structure]
    model: str
    makers: Makers = field(default_factory=dict)
    profile: Profile | None = None


@dataclass(frozen=True)
class Format:
    """One of them.

    Attributes:
        ending: of its file's name after that of the case; of its folder, where it is one.
        write: writes it, and says which files.
        media: its media type (RFC 6838); "" for a folder.
        of_dicom: refers to the images of a DICOM series.
    """

    ending: str
    write: Callable[[Path, Labelled], Sequence[Path]]
    media: str
    of_dicom: bool = False


def _label_map(path: Path, what: Labelled) -> Sequence[Path]:
    return write_label_map(path, what.labels, what.volume, what.ids)


def _per_class(path: Path, what: Labelled) -> Sequence[Path]:
    write_per_class(path, what.labels, what.volume, what.ids)
    return [path]


def _plain(write: Callable[..., Path]) -> Callable[[Path, Labelled], Sequence[Path]]:
    def written(path: Path, what: Labelled) -> Sequence[Path]:
        return [write(path, what.labels, what.volume, what.ids, profile=what.profile)]

    return written


def _dicom(write: Callable[..., Path]) -> Callable[[Path, Labelled], Sequence[Path]]:
    def written(path: Path, what: Labelled) -> Sequence[Path]:
        origin = {"makers": what.makers, "model": what.model, "profile": what.profile}
        return [write(path, what.labels, what.volume, what.ids, **origin)]

    return written


_DICOM = "application/dicom"

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "nifti": Format("_seg.nii.gz", _label_map, "application/gzip"),
        "per-class": Format("_seg", _per_class, ""),
        "seg.nrrd": Format(".seg.nrrd", _plain(write_seg_nrrd), "application/octet-stream"),
        "dicom-seg": Format("_seg.dcm", _dicom(write_dicom_seg), _DICOM, of_dicom=True),
        "dicom-labelmap": Format(
            "_labelmap.dcm", _dicom(partial(write_dicom_seg, kind="labelmap")), _DICOM,
            of_dicom=True,
        ),
        "rtstruct": Format("_rtstruct.dcm", _dicom(write_rtstruct), _DICOM, of_dicom=True),
        "stl": Format("_stl.zip", _plain(write_stl_zip), "application/zip"),
    }
)  # fmt: skip
"""By name, in the order in which they are written."""
