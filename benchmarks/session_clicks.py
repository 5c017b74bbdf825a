"""Seconds of a click as a user waits for it, through the session: named and anonymous objects.

Every repeat clicks two points, 27 mm apart, in an object of its own, in a session of its own (the
first click computes its window, the second one finds it); medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

import vista3d
from benchmarks.machine import describe
from vista3d.volume import read

CASE = "../shared/data/Dataset103_TorsoPseudo/imagesTr/lidc_0001_0000.nii.gz"
FAR_MM = 27.0


def main(arguments: list[str]) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser("python -m benchmarks session_clicks", description=__doc__)
    parser.add_argument("--case", type=Path, default=Path(CASE))
    parser.add_argument("--model", default="mini")
    parser.add_argument("--class", dest="class_", default="liver", help="Of the named object.")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args(arguments)
    model, scan = vista3d.load(options.model), read(options.case)
    middle = np.array(scan.array.shape) / 2
    points = [middle, middle + np.eye(3)[0] * FAR_MM / scan.geometry.spacing[0]]
    print(describe())
    for name in (None, options.class_):
        seconds: list[list[float]] = [[], []]
        for _ in range(options.repeats + 1):
            session = model.session(scan)
            session.add_object(class_=name)
            for number, point in enumerate(points):
                started = time.perf_counter()
                session.click(point.tolist(), space="voxel")
                seconds[number].append(time.perf_counter() - started)
        # The first repeat loads the network.
        first, later = (statistics.median(times[1:]) for times in seconds)
        print(f"{name or 'anonymous'}: first click {first:.3f} s, later click {later:.3f} s")
