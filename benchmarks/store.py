"""Ways to keep a prepared volume: writing, size, and the time of one random crop of 96^3.

Real chest CT (lidc_0001) at 1.5 mm, int16, and its 89 structures. Files are in the page cache, as
they are after the first epoch where the memory allows. zarr is measured if it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from vista3d.training.data.cases import read_cases
from vista3d.training.data.chunks import read_chunks, write_chunks
from vista3d.training.data.prepared import prepare_arrays

CROP, CROPS = 96, 20
Way = tuple[Callable[[Path, np.ndarray], Any], Callable[[Path, Any], np.ndarray]]


def _write_npy(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def _write_npz(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, a=array)


def ways() -> dict[str, Way]:
    """Name -> (write, read a box)."""
    found: dict[str, Way] = {
        "npy, memory-mapped": (_write_npy, lambda p, box: np.array(np.load(p, "r")[box])),
        "npz, read whole": (_write_npz, lambda p, box: np.load(p)["a"][box]),
        "Blosc2 64/16, zstd 3 (ours)": (write_chunks, read_chunks),
    }
    if importlib.util.find_spec("zarr"):
        import zarr

        for chunk in (32, 64):

            def write(path: Path, array: np.ndarray, chunk: int = chunk) -> None:
                made = zarr.create_array(
                    str(path), shape=array.shape, dtype=array.dtype, chunks=(chunk,) * 3
                )
                made[:] = array

            found[f"zarr 3, chunks of {chunk}, zstd"] = (
                write,
                lambda p, box: np.asarray(zarr.open_array(str(p), mode="r")[box]),
            )
    return found


def _files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def measure(way: Way, volumes: list[np.ndarray], folder: Path) -> dict[str, Any]:
    """Seconds to write all, MB and files, and the median milliseconds of a crop of each."""
    write, read = way
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    for n, array in enumerate(volumes):
        write(folder / f"v{n}.b2nd", array)
    seconds = time.perf_counter() - started
    crops = []
    for n, array in enumerate(volumes):
        times = []
        for _ in range(CROPS):
            corner = [int(rng.integers(0, size - CROP + 1)) for size in array.shape]
            box = tuple(slice(start, start + CROP) for start in corner)
            before = time.perf_counter()
            crop = read(folder / f"v{n}.b2nd", box)
            times.append(time.perf_counter() - before)
            np.testing.assert_array_equal(crop, array[box])
        crops.append(1000 * statistics.median(times))
    files = [file for n in range(len(volumes)) for file in _files(folder / f"v{n}.b2nd")]
    size = sum(file.stat().st_size for file in files) / 1e6
    return {"write_s": seconds, "mb": size, "files": len(files), "crop_ms": crops}


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks store", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--spacing", type=float, default=1.5)
    options = parser.parse_args(arguments)
    cases = read_cases(options.data / "Dataset103_TorsoPseudo", "train")
    arrays = prepare_arrays(next(c for c in cases if c.name == "lidc_0001"), options.spacing)
    assert arrays.image is not None
    volumes = [arrays.image, arrays.labels]
    print(f"two volumes of {arrays.labels.shape}, {sum(v.nbytes for v in volumes) / 1e6:.0f} MB")
    print(
        "| store | write s | MB | files | crop CT ms | crop labels ms |\n|---|---|---|---|---|---|"
    )
    for name, way in ways().items():
        with tempfile.TemporaryDirectory() as folder:
            row = measure(way, volumes, Path(folder))
        ct, labels = row["crop_ms"]
        print(
            f"| {name} | {row['write_s']:.2f} | {row['mb']:.1f} | {row['files']} | {ct:.1f} | "
            f"{labels:.1f} |"
        )
    print(json.dumps(describe()))
