"""As much of 3D Slicer as its module MONAI Label needs here; the module itself is the real one.

The module is Python, comes in the wheel of `monailabel`, and runs inside a program that has no
package. What it asks of the program is played here: a scene with one volume and one segmentation,
import and export of label maps as Slicer's Segmentations module does them, no windows.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import SimpleITK

_NAMES = ("ctk", "qt", "SampleData", "sitkUtils", "vtk", "vtkSegmentationCore", "slicer",
          "slicer.util", "slicer.i18n", "slicer.ScriptedLoadableModule")  # fmt: skip


def unpack(wheel: Path, folder: Path) -> Path:
    """The module's folder, out of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if "/plugins/slicer/MONAILabel/MONAILabel" in n]
        archive.extractall(folder, names)
    return next(folder.rglob("MONAILabel.py")).parent


@contextmanager
def imported(folder: Path, program: Program) -> Iterator[ModuleType]:
    """The real module on a program; it is forgotten afterwards."""
    before = set(sys.modules)
    sys.modules.update(program.modules())
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("MONAILabel")
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name in _NAMES or name.startswith("MONAILabel"):
                del sys.modules[name]


class Segment:
    """A named mask."""

    def __init__(self, name: str) -> None:
        self.name, self.mask = name, None
        self.tags: dict[str, str] = {}

    def GetName(self) -> str:  # noqa: N802
        return self.name

    def SetTag(self, key: str, value: str) -> None:  # noqa: N802
        self.tags[key] = value


class Segmentation:
    """vtkMRMLSegmentationNode and its vtkSegmentation; a segment's id is its name."""

    def __init__(self) -> None:
        self.segments: OrderedDict[str, Segment] = OrderedDict()

    def GetSegmentation(self) -> Segmentation:  # noqa: N802
        return self

    def AddEmptySegment(self, key: str, name: str, colour: object) -> None:  # noqa: N802
        self.segments[key] = Segment(name)

    def GetNumberOfSegments(self) -> int:  # noqa: N802
        return len(self.segments)

    def GetNthSegmentID(self, n: int) -> str:  # noqa: N802
        return list(self.segments)[n]

    def GetSegment(self, key: str) -> Segment | None:  # noqa: N802
        return self.segments.get(key)

    def GetSegmentIdBySegmentName(self, name: str) -> str:  # noqa: N802
        return name if name in self.segments else ""

    def take(self, labels: np.ndarray, keys: list[str]) -> None:
        """Import a label map: ids are given to the values that are present, in ascending order."""
        present = [v for v in np.unique(labels) if v]
        assert len(present) == len(keys), (present, keys)
        for key, value in zip(keys, present, strict=True):
            self.segments.setdefault(key, Segment(key)).mask = labels == value

    def give(self, keys: list[str]) -> np.ndarray:
        """Export: values 1..n in the order of the ids, those of empty segments left out."""
        masks = {n: self.segments[key].mask for n, key in enumerate(keys, 1)}
        shape = next(m.shape for m in masks.values() if m is not None)
        out = np.zeros(shape, np.int16)
        for value, mask in masks.items():
            if mask is not None:
                out[mask] = value
        return out


class Strings(list):
    """vtkStringArray."""

    InsertNextValue = list.append


class Program:
    """Slicer with one volume loaded.

    Args:
        volume: its file.
        name: of the volume in the scene.
    """

    def __init__(self, volume: Path, name: str) -> None:
        self.volume, self.name = volume, name
        self.segmentation = Segmentation()
        self.downloaded: list[dict[str, Any]] = []

    def modules(self) -> dict[str, ModuleType]:
        """What the module imports."""
        made = {name: _Open(name) for name in _NAMES}
        made["ctk"].ctkSettingsPanel = made["qt"].QDialog = object
        base = made["slicer.ScriptedLoadableModule"]
        base.__all__ = [f"ScriptedLoadableModule{kind}" for kind in ("", "Widget", "Logic", "Test")]
        for kind in base.__all__:
            setattr(base, kind, type(kind, (), {"__init__": lambda self, *a: None}))
        made["slicer.i18n"].tr = lambda text: text
        made["vtk"].vtkStringArray = Strings
        made["sitkUtils"].PushVolumeToSlicer = lambda image, *_, **__: SimpleITK.GetArrayFromImage(
            image
        )
        made["SampleData"].SampleDataLogic = lambda: MagicMock(downloadFromURL=self._download)
        util, slicer = made["slicer.util"], made["slicer"]
        util.VTKObservationMixin = type("VTKObservationMixin", (), {})
        util.settingsValue = lambda key, default, converter=None: _SETTINGS.get(key, default)
        util.errorDisplay = _fail
        util.warningDisplay = _fail
        util.saveNode = self._save
        util.getNodesByClass = lambda kind: []
        slicer.util, slicer.app = util, MagicMock()
        slicer.mrmlScene = MagicMock(GetFirstNodeByClass=lambda kind: self.node())
        slicer.mrmlScene.AddNewNodeByClass = lambda kind: []
        logic = slicer.modules.segmentations.logic.return_value
        logic.ImportLabelmapToSegmentationNode = lambda labels, node, keys: node.take(labels, keys)
        logic.ExportSegmentsToLabelmapNode = lambda node, keys, out, _: out.append(node.give(keys))
        return made

    def node(self) -> MagicMock:
        """The volume in the scene."""
        return MagicMock(spec_set=["GetName"], GetName=lambda: self.name)

    def _save(self, node: Any, path: str) -> None:
        if not isinstance(node, list):
            shutil.copy(self.volume, path)
            return
        image = SimpleITK.GetImageFromArray(node[0])
        image.CopyInformation(SimpleITK.ReadImage(str(self.volume)))
        SimpleITK.WriteImage(image, path)

    def _download(self, **asked: Any) -> list[MagicMock]:
        self.downloaded.append(asked)
        return [self.node()]


_SETTINGS = {"MONAILabel/autoRunSegmentationOnNextSample": False,
             "MONAILabel/allowOverlappingSegments": False}  # fmt: skip


def widget_of(module: ModuleType, program: Program, url: str, folder: Path) -> Any:
    """The module's panel: its real methods, with its fields empty and its windows silent."""
    widget = object.__new__(module.MONAILabelWidget)
    widget.logic = module.MONAILabelLogic(str(folder), client_id="user-xyz")
    widget.ui = MagicMock()
    widget.ui.serverComboBox.currentText = url
    widget.ui.segmentationModelSelector.currentText = "vista3d_auto"
    widget.ui.deepgrowModelSelector.currentText = "vista3d_points"
    widget.ui.freezeUpdateCheckBox.checked = False
    widget.ui.sam2PlaceWidget.currentNode.return_value = None
    widget.info, widget.models, widget.samples = {}, OrderedDict(), {}
    widget.file_ext, widget.tmpdir = ".nii.gz", str(folder)
    widget.deepedit_multi_label, widget.resetLabelState = False, False
    widget._volumeNode, widget._volumeNodes = program.node(), []
    widget._segmentNode = program.segmentation
    for name in ("saveServerUrl", "reportProgress", "updateGUIFromParameterNode",
                 "invalidateConfigTable", "onResetScribbles", "resetSam2ROI", "createSegmentNode",
                 "createScribblesROINode", "createSam2ROINode"):  # fmt: skip
        setattr(widget, name, _nothing)
    widget._scribblesROINode = widget._sam2ROINode = None
    return widget


class _Open(ModuleType):
    """A module that has whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = MagicMock()
        setattr(self, name, value)
        return value


def _pushed(image: SimpleITK.Image, *_: object, **__: object) -> np.ndarray:
    """A label map in the scene."""
    return SimpleITK.GetArrayFromImage(image)


def _nothing(*_: object, **__: object) -> None:
    """A window that would be drawn."""


def _fail(text: str, detailedText: str = "") -> None:  # noqa: N803
    raise AssertionError(f"Slicer shows: {text}\n{detailedText}")
