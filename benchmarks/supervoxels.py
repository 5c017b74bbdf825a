"""SLIC of many-channel features: ours beside scikit-image's, same features, same number of cells.

Features: a fixed bank of 32 filters (windows, Gaussians, gradients, Laplacians) over 128^3 voxels
of a real CT at 2 mm. Quality is measured against the label map of the CT:

- boundary recall: share of boundary voxels of the labels with a supervoxel boundary within 1 voxel;
- compactness: mean isoperimetric quotient 36 pi V^2 / A^3 over voxels (1 is a ball);
- undersegmentation error: mean over voxels of min(overlap, rest of the supervoxel), Neubert 2012.

Both run on one thread. Contenders are interleaved; medians are printed, and whether the asks are
met (recall and compactness within 2%, 10 times faster).
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from benchmarks.machine import describe
from vista3d.supervoxels import slic
from vista3d.volume import labels_to_model, prepare, read

SIDE = 128
WINDOWS = ((-160, 240), (-1000, 200), (100, 1300), (-250, 150))
SIGMAS = (1, 2, 3)


def filter_bank(hu: np.ndarray) -> np.ndarray:
    """HU [h, w, d] -> float32 [32, h, w, d]: per window and scale a Gaussian, its gradient and,
    for the larger two, its Laplacian."""
    channels = []
    for low, high in WINDOWS:
        shown = np.clip((hu - low) / (high - low), 0, 1).astype(np.float32)
        for sigma in SIGMAS:
            smooth = ndimage.gaussian_filter(shown, sigma)
            channels.append(smooth)
            slopes = np.gradient(smooth)
            channels.append(np.sqrt(sum(slope**2 for slope in slopes)) * sigma)
            if sigma > 1:
                channels.append(np.abs(ndimage.gaussian_laplace(shown, sigma)) * sigma)
    return np.stack(channels).astype(np.float32)


def load(image: Path, labels: Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [32, side, side, side] and labels of the middle of a scan at 2 mm."""
    hu, grid = prepare(read(image), (2.0, 2.0, 2.0))
    truth = labels_to_model(read(labels).array, grid)
    box = tuple(slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in hu.shape)
    margin = [(0, side - n) for n in hu[box].shape]
    return filter_bank(np.pad(hu[box], margin, mode="edge")), np.pad(truth[box], margin)


def boundaries(labels: np.ndarray) -> np.ndarray:
    """Voxels with a face towards another label."""
    found = np.zeros(labels.shape, bool)
    for axis in range(3):
        label, mark = np.moveaxis(labels, axis, 0), np.moveaxis(found, axis, 0)
        met = label[1:] != label[:-1]
        mark[1:] |= met
        mark[:-1] |= met
    return found


def quality(labels: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The figures of the module's docstring, and the number of supervoxels."""
    edge = boundaries(truth)
    near = ndimage.binary_dilation(boundaries(labels), np.ones((3, 3, 3)))
    size = np.bincount(labels.ravel()).astype(np.float64)
    area = np.zeros(len(size))
    padded = np.pad(labels, 1)
    for axis in range(3):
        label = np.moveaxis(padded, axis, 0)
        met = label[1:] != label[:-1]
        for sides in (label[1:][met], label[:-1][met]):
            area += np.bincount(sides, minlength=len(size))
    quotient = 36 * np.pi * size[1:] ** 2 / np.maximum(area[1:], 1) ** 3
    span = int(truth.max()) + 1
    pairs, overlap = np.unique(labels.astype(np.int64) * span + truth, return_counts=True)
    rest = size[pairs // span] - overlap
    return {
        "count": float((size[1:] > 0).sum()),
        "recall": float((near & edge).sum() / edge.sum()),
        "compactness": float((quotient * size[1:]).sum() / size[1:].sum()),
        "undersegmentation": float(np.minimum(overlap, rest).sum() / labels.size),
    }


def main(arguments: list[str]) -> None:
    """Print one table per number of segments."""
    from skimage.segmentation import slic as reference
    from skimage.util import regular_grid

    parser = argparse.ArgumentParser("python -m benchmarks supervoxels", description=__doc__)
    folder = Path("../shared/data/Dataset103_TorsoPseudo")
    parser.add_argument("--image", type=Path, default=folder / "imagesTr/lidc_0001_0000.nii.gz")
    parser.add_argument("--labels", type=Path, default=folder / "labelsTr/lidc_0001.nii.gz")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--segments", default="100,400", help="n_segments of scikit-image")
    parser.add_argument("--compactness", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args(arguments)
    features, truth = load(options.image, options.labels, options.side)
    tensor = torch.from_numpy(features)
    print(describe())
    print(f"features {features.shape}, {len(np.unique(truth)) - 1} labels")
    slic(tensor[:, :32, :32, :32], 27, compactness=options.compactness)  # loads libraries
    for asked in map(int, options.segments.split(",")):
        # scikit-image rounds n_segments to a regular grid: both start from its cells.
        cells = int(np.prod([len(range(*s.indices(options.side)))
                             for s in regular_grid(truth.shape, asked)]))  # fmt: skip
        seconds: dict[str, list[float]] = {"scikit-image": [], "vista3d": []}
        cpu: dict[str, list[float]] = {"scikit-image": [], "vista3d": []}
        found: dict[str, np.ndarray] = {}
        for _ in range(options.repeats):
            for name in seconds:
                started, used = time.perf_counter(), time.process_time()
                if name == "vista3d":
                    labels = slic(tensor, cells, compactness=options.compactness).numpy()
                else:
                    labels = reference(
                        features, asked, options.compactness, channel_axis=0, start_label=1
                    )
                seconds[name].append(time.perf_counter() - started)
                cpu[name].append(time.process_time() - used)
                found[name] = labels
        _report(cells, seconds, cpu, {name: quality(x, truth) for name, x in found.items()})


def _report(
    cells: int,
    seconds: dict[str, list[float]],
    cpu: dict[str, list[float]],
    figures: dict[str, dict[str, float]],
) -> None:
    print(f"\n{cells} cells      seconds   CPU s  supervoxels  recall  compactness  underseg.")
    for name, figure in figures.items():
        print(
            f"{name:12} {statistics.median(seconds[name]):10.2f} "
            f"{statistics.median(cpu[name]):7.2f} {figure['count']:12.0f} "
            f"{figure['recall']:7.4f} {figure['compactness']:12.4f} "
            f"{figure['undersegmentation']:10.4f}"
        )
    theirs, ours = figures["scikit-image"], figures["vista3d"]
    for key in ("recall", "compactness"):
        gap = ours[key] / theirs[key] - 1
        verdict = "within 2%" if abs(gap) <= 0.02 else "higher" if gap > 0 else "MISSED: lower"
        print(f"{key}: {gap:+.1%} ({verdict})")
    speed = statistics.median(seconds["scikit-image"]) / statistics.median(seconds["vista3d"])
    print(f"speed: {speed:.1f}x ({'10x met' if speed >= 10 else 'MISSED: below 10x'})")
