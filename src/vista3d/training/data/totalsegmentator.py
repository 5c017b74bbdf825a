"""TotalSegmentator in a process of its own: its memory, threads and GPU context go with it.

    python -m vista3d.training.data.totalsegmentator SCAN.nii OUTPUT.nii.gz --device cpu

writes its label map and, beside it, OUTPUT.json with its version and class values. This file is
both the child's program and, in `TotalSegmentator`, the parent's side of it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vista3d import anatomy
from vista3d import volume as vol
from vista3d.errors import InputError, UsageError
from vista3d.training.data.case import to_global
from vista3d.training.data.teachers import Lesson

_MISSING = 3
"""Exit code of a child that cannot import TotalSegmentator."""


@dataclass(frozen=True)
class TotalSegmentator:
    """A teacher of 117 classes (Apache-2.0, task "total").

    Attributes:
        device: "cpu", "gpu", "gpu:N" or "mps".
        fast: its 3 mm model: several times faster, thin structures worse.
    """

    device: str = "cpu"
    fast: bool = False
    name: str = "totalsegmentator"

    @property
    def identity(self) -> str:
        """Its version, if it is installed."""
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version("TotalSegmentator")
        return ""

    def label(self, scan: Path) -> Lesson:
        """Label a scan of any format.

        Raises:
            UsageError: TotalSegmentator is not installed.
            InputError: it failed on this scan; its last line of output says why.
        """
        volume = vol.check_image(vol.read(scan))
        with tempfile.TemporaryDirectory(prefix="vista3d-") as folder:
            copy, output = Path(folder) / "scan.nii", Path(folder) / "labels.nii.gz"
            vol.write_labels(copy, volume.array, volume)  # writes any numbers on the scan's grid
            command = [sys.executable, "-m", __name__, str(copy), str(output)]
            command += ["--device", self.device, *(["--fast"] if self.fast else [])]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == _MISSING:
                msg = "TotalSegmentator is not installed: pip install 'vista3d[pseudo]'"
                raise UsageError(msg)
            about = output.with_name("labels.json")
            if done.returncode or not about.is_file():
                last = (done.stderr.strip() or "no output").splitlines()[-1]
                msg = f"TotalSegmentator failed on {scan.name} (exit {done.returncode}): {last}"
                raise InputError(msg)
            content = json.loads(about.read_text())
            array = vol.read_truth(output, volume.geometry)
        mapping = anatomy.dataset_ids({name: int(v) for v, name in content["classes"].items()})
        labels = to_global(array, mapping)
        return Lesson(self.name, content["version"], labels, frozenset(mapping.values()))


def _child(scan: Path, output: Path, device: str, fast: bool) -> int:
    """Run the Python API (version 2) and write what it finds."""
    try:
        from totalsegmentator.config import set_config_key, setup_totalseg
        from totalsegmentator.map_to_binary import class_map
        from totalsegmentator.python_api import totalsegmentator
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        return _MISSING
    import nibabel as nib

    # This package has no telemetry; its teachers get none either.
    setup_totalseg()
    set_config_key("send_usage_stats", False)
    image = nib.load(scan)
    found = totalsegmentator(
        image, None, ml=True, task="total", fast=fast, device=device, quiet=True
    )
    nib.save(nib.Nifti1Image(np.asarray(found.dataobj).astype(np.uint8), found.affine), output)
    about = {
        "version": importlib.metadata.version("TotalSegmentator"),
        "classes": {str(value): name for value, name in class_map["total"].items()},
    }
    output.with_name("labels.json").write_text(json.dumps(about))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("scan", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--fast", action="store_true")
    given = parser.parse_args()
    sys.exit(_child(given.scan, given.output, given.device, given.fast))
