"""A stand-in for the network: thresholds instead of weights, so that the command line is quick."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

LIVER, RIGHT_KIDNEY, LEFT_KIDNEY = 1, 5, 14
ALL = (LIVER, RIGHT_KIDNEY, LEFT_KIDNEY)


@dataclass
class FakeModel:
    """Calls liver what is denser than 50 HU and right kidney what is denser than 150 HU.

    Attributes:
        calls: names of the scans it was given.
        loads: how it was loaded.
        cancel_at, fail_at, break_at: name of a scan at which the user cancels, the memory does
            not suffice, or a bug shows.
    """

    calls: list[str] = field(default_factory=list)
    loads: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cancel_at: str = ""
    fail_at: str = ""
    break_at: str = ""

    def segment(
        self, volume, classes="everything", *, modality="ct", preset=None, progress=None,
        cancel=None,
    ):  # fmt: skip
        """As `vista3d.inference.Model.segment`."""
        from vista3d.errors import CancelledError, MemoryBudgetError
        from vista3d.inference import Segmentation

        name = volume.meta.name
        self.calls.append(name)
        if name == self.fail_at:
            msg = "needs 9.1 GiB, 2.0 GiB are free"
            raise MemoryBudgetError(msg)
        if name == self.break_at:
            msg = "a bug"
            raise ZeroDivisionError(msg)
        if name == self.cancel_at:
            cancel.set()
            msg = "cancelled by the user"
            raise CancelledError(msg)
        ids = ALL if classes == "everything" else tuple(classes)
        labels = (volume.array > 50).astype(np.uint8) * LIVER
        labels[volume.array > 150] = RIGHT_KIDNEY
        labels[~np.isin(labels, ids)] = 0
        run = {
            "model": "fake", "warnings": ["a warning of the run"], "versions": {"torch": "2"},
            "seconds_by_step": {"segmenting": 0.0},
        }  # fmt: skip
        return Segmentation(labels=labels, volume=volume, classes=ids, run=run)


class Waiting(FakeModel):
    """Says that it has started, then waits for the cancellation."""

    def segment(
        self, volume, classes="everything", *, modality="ct", preset=None, progress=None,
        cancel=None,
    ):  # fmt: skip
        """Never finishes by itself."""
        from vista3d.errors import CancelledError

        Path(sys.argv[1]).with_name("started").touch()
        if not cancel.wait(30):
            sys.exit("nobody cancelled")
        msg = "cancelled by the user"
        raise CancelledError(msg)


def scan(path: Path, seed: int = 0, shape=(24, 20, 16), affine=None, dtype=np.int16) -> Path:
    """A liver of 100 HU at the border, a kidney of 200 HU inside, in air and fat."""
    values = np.full(shape, -1000, dtype)
    if len(shape) == 3:
        values[2:-2, 2:-2, :] = -100 + seed
        values[4:12, 4:16, 0:10] = 100
        values[14:20, 8:14, 4:12] = 200
    affine = np.diag([-1.5, -1.5, 3, 1.0]) if affine is None else affine
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def series(folder: Path, heights: list[float], tilt: float = 0.0) -> Path:
    """A DICOM CT of 16 x 16 pixels with a slice at each height in mm.

    Args:
        folder: new.
        heights: of the slices.
        tilt: mm to the back per mm upwards, as a tilted gantry gives.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True)
    study = generate_uid()
    for number, height in enumerate(heights):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.Modality, data.PatientName = study, "CT", "Doe^Jane"
        data.ImagePositionPatient = [0, tilt * height, height]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.PixelSpacing = [1, 1]
        data.Rows = data.Columns = 16
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 1, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        pixels = np.full((16, 16), 24, np.int16)
        pixels[4:12, 4:12] = 1124
        data.PixelData = pixels.tobytes()
        data.save_as(folder / f"IM{number:04d}", enforce_file_format=True)
    return folder


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _main() -> None:
    """`python -m tests.cli.fake INPUT -o OUT`: the command line with the waiting stand-in."""
    import vista3d.inference
    import vista3d.network.weights

    vista3d.inference.load = lambda *args, **kwargs: Waiting()
    vista3d.network.weights.resolve = lambda name: Path(__file__)
    from vista3d.cli.main import main

    main(["segment", *sys.argv[1:]])


if __name__ == "__main__":
    assert threading.current_thread() is threading.main_thread()
    _main()
