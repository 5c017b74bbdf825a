"""How much memory a case will take, known before it starts, and where the features will live.

The ladder, best first: features on the accelerator; in RAM as fp32; in RAM as fp16; in a file
mapped from disk. The first rung that is predicted to fit is taken, instead of failing on one and
starting again. Features that were computed in half precision on a CPU never take the fp32 rung.
Only `available_memory`, `device_memory` and `scratch_folder` look at the machine.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vista3d.errors import MemoryBudgetError

log = logging.getLogger(__name__)

Rung = Literal["device", "memory", "half", "disk"]
"""Where the blended features are kept: accelerator, RAM, RAM as fp16, file."""

GIB = 2**30

_RESERVE = 0.1
"""Share of the available memory left to everybody else."""

_TILES = 2**27
"""Working memory of labelling, bytes: a group of tiles' logits, whatever the number of classes."""

_LIVE_TENSORS = {"fp32": 6.5, "bf16": 4.5, "fp16": 4.5}
"""fp32 full-resolution tensors of F channels alive at once inside the network: measured as peak
resident memory above the loaded model, both networks, PyTorch and OpenVINO, 96^3 and 128^3."""


@dataclass(frozen=True)
class Demand:
    """Bytes that a case needs.

    Attributes:
        scan: the scan, its copy on the model grid, and the sum of window weights.
        features: blended feature planes held at once, as fp32.
        window: the network's activations.
        result: labels, probabilities, masks.
    """

    scan: int
    features: int
    window: int
    result: int


@dataclass(frozen=True)
class Supply:
    """Free bytes; None where unknown (host) or absent (device).

    Attributes:
        host: RAM.
        device: of the accelerator, where the windows run.
        disk: of the scratch folder.
    """

    host: int | None
    device: int | None = None
    disk: int = 0


@dataclass(frozen=True)
class Budget:
    """What a case is predicted to need, and the choice made from it."""

    demand: Demand
    supply: Supply
    rung: Rung

    @property
    def peak(self) -> int:
        """RAM expected at the highest point, weights and libraries not counted."""
        return host_peak(self.demand, self.rung, self.supply.device is not None)

    def summary(self) -> dict[str, float | str | None]:
        """For the log and the run report, in GiB."""
        host = self.supply.host
        return {
            "rung": self.rung,
            "predicted_gib": round(self.peak / GIB, 3),
            "features_gib": round(self.demand.features / GIB, 3),
            "window_gib": round(self.demand.window / GIB, 3),
            "available_gib": None if host is None else round(host / GIB, 3),
        }


def window_bytes(channels: int, window: tuple[int, int, int], precision: str) -> int:
    """Activations of the network on one window."""
    return int(4 * _LIVE_TENSORS[precision] * channels * window[0] * window[1] * window[2])


def host_peak(demand: Demand, rung: Rung, accelerated: bool) -> int:
    """RAM needed on a rung: the result grows while windows are run, so that all parts add up."""
    features = {"device": 0, "memory": demand.features, "half": demand.features // 2, "disk": 0}
    window = 0 if accelerated else demand.window
    return demand.scan + demand.result + _TILES + features[rung] + window


def plan_memory(demand: Demand, supply: Supply, *, half: bool = False) -> Budget:
    """Choose the first rung that fits.

    Args:
        demand: of the case.
        supply: of the machine.
        half: features come in half precision; kept in RAM as fp32 they would be no better.

    Raises:
        MemoryBudgetError: none does; nothing was started.
    """
    accelerated = supply.device is not None
    rungs: list[Rung] = ["half"] if half else ["memory", "half"]
    if supply.device is not None:
        if demand.window > (1 - _RESERVE) * supply.device:
            msg = (
                f"a window needs {demand.window / GIB:.1f} GiB on the accelerator, "
                f"{supply.device / GIB:.1f} GiB are free: close programs, or use --device cpu"
            )
            raise MemoryBudgetError(msg)
        if demand.window + demand.features + _TILES <= (1 - _RESERVE) * supply.device:
            rungs.insert(0, "device")
    if demand.features <= (1 - _RESERVE) * supply.disk:
        rungs.append("disk")
    for rung in rungs:
        budget = Budget(demand, supply, rung)
        if supply.host is None or budget.peak <= (1 - _RESERVE) * supply.host:
            log.info("memory: %s", budget.summary())
            return budget
    least = min(host_peak(demand, rung, accelerated) for rung in rungs)
    msg = (
        f"this case needs {least / GIB:.2f} GiB of memory at the least, "
        f"{(supply.host or 0) / GIB:.2f} GiB are free (a tenth is left to others): close programs, "
        "crop the scan, ask for labels instead of probabilities or masks, or use a smaller model"
    )
    raise MemoryBudgetError(msg)


_V2, _V1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")

_GROUPS = (
    (_V2 / "memory.max", _V2 / "memory.current", _V2 / "memory.stat", "inactive_file"),
    (_V1 / "memory.limit_in_bytes", _V1 / "memory.usage_in_bytes", _V1 / "memory.stat",
     "total_inactive_file"),
)  # fmt: skip
"""Limit, use and statistics of the control group that a container runs in, by version."""


def available_memory() -> int | None:
    """Bytes that can be taken without swapping, cgroup limits included; None where unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")))
    except (OSError, StopIteration):
        return None
    found += [free for free in map(_left_in_group, _GROUPS) if free is not None]
    return max(0, min(found))


def _left_in_group(names: tuple[Path, Path, Path, str]) -> int | None:
    """Bytes that the limit of a control group leaves; None where there is no such limit."""
    limit, used, statistics, reclaimable = names
    try:
        most, now = int(limit.read_text()), int(used.read_text())
        rows = dict(line.split() for line in statistics.read_text().splitlines())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    # Files that were read lately count as used, and are given up for whoever asks.
    return most - now + int(rows.get(reclaimable, 0))


def device_memory(device: str) -> int | None:
    """Free bytes of an accelerator; None for a CPU."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return None


def scratch_folder() -> Path:
    """Where large temporary files go: not on a RAM disk, as /tmp often is."""
    usual, other = Path(tempfile.gettempdir()), Path("/var/tmp")
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return usual
    in_ram = {Path(fields[1]) for fields in mounts if fields[2] in ("tmpfs", "ramfs")}
    return other if in_ram & {usual, *usual.parents} and other.is_dir() else usual


def free_disk(folder: Path) -> int:
    """Free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free
