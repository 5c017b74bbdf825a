"""Peak resident memory of "everything" on a large scan."""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

from benchmarks.machine import in_subprocess, peak_gib


def scan(shape: tuple[int, int, int]) -> np.ndarray:
    """An elliptic body of soft tissue with noise, int16 HU; made plane by plane."""
    rng = np.random.default_rng(0)
    out = np.empty(shape, np.int16, order="F")
    i, j = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape[:2]), indexing="ij")
    body = (i / 0.8) ** 2 + (j / 0.6) ** 2 < 1
    for k in range(shape[2]):
        plane = np.where(body, 40.0, -1000.0) + 15 * rng.standard_normal(shape[:2])
        out[:, :, k] = plane
    return out


def _measure(model: str, shape: tuple[int, int, int], runtime: str) -> None:
    from benchmarks.contenders import random_state
    from vista3d import anatomy
    from vista3d.inference import load
    from vista3d.inference.model import Model
    from vista3d.inference.runtimes import choose_runtime
    from vista3d.network.config import OFFICIAL
    from vista3d.network.metadata import CheckpointMeta
    from vista3d.network.vista3d import Vista3D
    from vista3d.volume import Volume

    if model == "official":
        network = Vista3D(OFFICIAL)
        network.load_state_dict(random_state(OFFICIAL))
        network.eval().requires_grad_(False)
        meta = CheckpointMeta(
            "official", OFFICIAL, (1.5,) * 3, (128,) * 3, (-963.8247715525971, 1053.678477684517),
            anatomy.everything(), "random weights",
        )  # fmt: skip
        loaded = Model(network, meta, choose_runtime(network, meta.window, runtime=runtime))
    else:
        loaded = load(model, runtime=runtime)
    after_loading = peak_gib()
    volume = Volume(scan(shape), np.diag([0.7, 0.7, 1.0, 1.0]))
    started = time.perf_counter()
    result = loaded.segment(volume)
    print(
        json.dumps(
            {
                "peak_gib": peak_gib(),
                "after_loading_gib": after_loading,
                "features_gib": result.run["memory"]["features_gib"],
                "predicted_gib": result.run["memory"]["predicted_gib"],
                "rung": result.run["memory"]["rung"],
                "seconds": time.perf_counter() - started,
                "runtime": loaded.runtime.name,
            }
        )
    )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument(
        "--model", default="mini", help="mini, official (random weights), or a file"
    )
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 600))
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    i, j, k = options.size
    if options.inside:
        _measure(options.model, (i, j, k), options.runtime)
        return
    result = in_subprocess(
        "benchmarks", "memory", "--model", options.model, "--size", str(i), str(j), str(k),
        "--runtime", options.runtime, "--inside",
    )  # fmt: skip
    above = result["peak_gib"] - result["after_loading_gib"] - result["features_gib"]
    result["above_weights_and_features_gib"] = above
    json.dump(result, sys.stdout, indent=1)
    print()
