"""Scans and their geometry: read, check, put on the model's grid and back, write."""

from vista3d.volume.bounds import bounding_box
from vista3d.volume.checks import check_ct, check_image
from vista3d.volume.components import components, largest
from vista3d.volume.geometry import Geometry
from vista3d.volume.labels import read_label_map, read_truth
from vista3d.volume.prepare import (
    A_MAX,
    A_MIN,
    ModelGrid,
    labels_to_model,
    normalise,
    prepare,
    restore_labels,
)
from vista3d.volume.reading import read
from vista3d.volume.volume import Volume, VolumeMeta
from vista3d.volume.writers import write_labels

__all__ = [
    "A_MAX",
    "A_MIN",
    "Geometry",
    "ModelGrid",
    "Volume",
    "VolumeMeta",
    "bounding_box",
    "check_ct",
    "check_image",
    "components",
    "labels_to_model",
    "largest",
    "normalise",
    "prepare",
    "read",
    "read_label_map",
    "read_truth",
    "restore_labels",
    "write_labels",
]
