"""How a segmentation is written down: label maps, masks, statistics, pictures and reports.

Everything here takes a label array with global class ids, the scan it belongs to and the ids that
were asked for, so that it serves automatic, interactive and hand-made segmentations alike.
"""

from vista3d.results.dicom_seg import write_dicom_seg
from vista3d.results.formats import FORMATS, Format, Labelled
from vista3d.results.label_map import write_label_map
from vista3d.results.meshes import write_stl_zip
from vista3d.results.overlap import dice
from vista3d.results.per_class import write_per_class
from vista3d.results.preview import preview, write_preview
from vista3d.results.profile import Profile, profile_labels
from vista3d.results.report import case_report, describe_source, write_report
from vista3d.results.rtstruct import write_rtstruct
from vista3d.results.seg_nrrd import write_seg_nrrd
from vista3d.results.statistics import (
    StructureStatistics,
    shown_ml,
    statistics,
    write_statistics,
)

__all__ = [
    "FORMATS",
    "Format",
    "Labelled",
    "Profile",
    "StructureStatistics",
    "case_report",
    "describe_source",
    "dice",
    "preview",
    "profile_labels",
    "shown_ml",
    "statistics",
    "write_dicom_seg",
    "write_label_map",
    "write_per_class",
    "write_preview",
    "write_report",
    "write_rtstruct",
    "write_seg_nrrd",
    "write_statistics",
    "write_stl_zip",
]
