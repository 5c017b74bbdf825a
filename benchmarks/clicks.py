"""Seconds and memory of a click: ours beside MONAI's, official sizes, same window, same weights.

MONAI: `point_based_window_inferer` around `vista3d132`, as the released bundle calls it. Ours: the
session's engine with one window per click and no window beyond it, so that both do the same work.
Contenders are interleaved; medians are printed. The two answers are compared, too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contenders import INTENSITY, random_state
from benchmarks.machine import describe, peak_gib
from vista3d.inference.interactive.clicks import Click
from vista3d.inference.interactive.pointer import Prompt
from vista3d.inference.interactive.pointing import PointEngine
from vista3d.inference.runtimes import has_native_bf16
from vista3d.inference.runtimes.openvino import CompiledPath
from vista3d.inference.runtimes.points import PointRuntime
from vista3d.network.config import OFFICIAL
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.volume import Volume, normalise, prepare, read

WINDOW = (128, 128, 128)
SPACING = (1.5, 1.5, 1.5)


def monai_clicks(
    hu: np.ndarray, state: dict[str, torch.Tensor]
) -> Callable[[list[list[float]]], np.ndarray]:
    """Clicks in model voxels -> logits [h, w, d] of the last click's window (others are nan)."""
    from monai.apps.vista3d.inferer import point_based_window_inferer
    from monai.data import MetaTensor
    from monai.networks.nets import vista3d132

    network = vista3d132(in_channels=1).eval()
    network.load_state_dict(state)
    image = MetaTensor(torch.from_numpy(normalise(hu, *INTENSITY))[None, None])

    def click(points: list[list[float]]) -> np.ndarray:
        with torch.no_grad():
            out = point_based_window_inferer(
                image,
                WINDOW,
                network,
                point_coords=torch.tensor([points]),
                point_labels=torch.ones(1, len(points)),
                point_start=len(points) - 1,  # without it, every earlier click is run again
                transpose=True,
            )
        return np.asarray(out[0, 0])

    return click


def point_branch(network: Vista3D, runtime: str, precision: Any) -> PointRuntime:
    """The point branch by PyTorch, or its encoder and decoder by OpenVINO (converted before)."""
    if runtime != "openvino":
        return PointRuntime(network, "cpu", precision)
    compiled = CompiledPath("points", network, WINDOW, precision)
    return PointRuntime(network, "cpu", precision, lambda path: compiled)


def main(arguments: list[str]) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser("python -m benchmarks clicks", description=__doc__)
    case = "../shared/data/Dataset103_TorsoPseudo/imagesTr/lidc_0001_0000.nii.gz"
    parser.add_argument("--case", type=Path, default=Path(case))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--contenders",
        default=",".join(
            f"{kind}-{precision}"
            for precision in (("fp32", "bf16") if has_native_bf16() else ("fp32",))
            for kind in ("openvino", "torch")
        ),
        help="RUNTIME-PRECISION,...",
    )
    options = parser.parse_args(arguments)
    # Both work on the same 1.5 mm RAS grid: reading and resampling are not clicks.
    hu, grid = prepare(read(options.case), SPACING, crop="body")
    volume = Volume(hu, grid.geometry.affine)
    centre = [float(n // 2) for n in hu.shape]
    near = [centre, [c + 9 for c in centre]]
    state = random_state(OFFICIAL)
    meta = CheckpointMeta("official", OFFICIAL, SPACING, WINDOW, INTENSITY, (1,), "random weights")
    network = Vista3D(OFFICIAL).eval()
    network.load_state_dict(state)
    monai = monai_clicks(hu, state)
    contenders = options.contenders.split(",")
    runtimes = {name: point_branch(network, *name.split("-")) for name in contenders}
    seconds: dict[str, list[float]] = {}
    answers: dict[str, np.ndarray] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        seconds.setdefault(name, []).append(time.perf_counter() - started)
        return result

    for _ in range(options.repeats):
        answers["monai"] = timed("monai first", lambda: monai(near[:1]))
        timed("monai later", lambda: monai(near))
        for name, runtime in runtimes.items():
            engine = PointEngine(meta, runtime, volume, step=1, most_extra=0)
            prompts = [
                Prompt(tuple(Click((x[0], x[1], x[2]), positive=True) for x in near[:n]))
                for n in (1, 2)
            ]
            answers[name] = timed(f"{name} first", lambda e=engine, p=prompts: e.mask(p[0])).mask
            timed(f"{name} later", lambda e=engine, p=prompts: e.mask(p[1]))
            held = engine.cache
            print(f"{name}: {held.bytes / held.windows / 2**20:.1f} MiB per cached window")
    print(describe())
    for kind in ("first", "later"):
        reference = statistics.median(seconds[f"monai {kind}"])
        for name in ("monai", *contenders):
            value = statistics.median(seconds[f"{name} {kind}"])
            print(f"{kind} click {name:13} {value:8.2f} s {reference / value:6.1f}x")
    truth = answers["monai"] > 0
    seen = ~np.isnan(answers["monai"])
    for name in contenders:
        mask = answers[name]
        where = tuple(slice(int(a.min()), int(a.max()) + 1) for a in np.nonzero(seen))
        print(f"{name}: mask agrees with MONAI's on {(mask == truth[where]).mean():.5f} of voxels")
    print(f"peak {peak_gib():.2f} GiB, all contenders in one process")
