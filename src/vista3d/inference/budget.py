"""How much memory a case will take, known before it starts, and where the features will live.

Concurrency and side effects: none; only `available_memory` looks at the machine.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vista3d.errors import MemoryBudgetError
from vista3d.network.config import NetworkConfig

log = logging.getLogger(__name__)

Rung = Literal["memory", "disk"]
"""Where the blended features are kept: RAM, or a file mapped from disk."""

_LIVE_TENSORS = 6.0
"""Full-resolution tensors alive at once inside the network, times `features` channels: measured
as peak resident memory above the weights at 96^3 and 128^3 (torch and OpenVINO, within 20%)."""

_RESERVE = 0.1
"""Share of the available memory left to everybody else."""


@dataclass(frozen=True)
class Budget:
    """Predicted bytes of each part of a case, and the choice made from them."""

    scan: int
    features: int
    window: int
    labels: int
    available: int | None
    rung: Rung

    @property
    def peak(self) -> int:
        """Resident bytes expected at the highest point, weights and libraries not counted."""
        resident = 0 if self.rung == "disk" else self.features
        return self.scan + resident + max(self.window, self.labels)

    def summary(self) -> dict[str, float | str | None]:
        """For the log and the run report, in GiB."""
        gib = 2**30
        return {
            "rung": self.rung,
            "predicted_gib": round(self.peak / gib, 3),
            "features_gib": round(self.features / gib, 3),
            "available_gib": None if self.available is None else round(self.available / gib, 3),
        }


def available_memory() -> int | None:
    """Bytes that can be taken without swapping, cgroup limits included; None where unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")))
    except (OSError, StopIteration):
        return None
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        found.append(int(text) - int(used.read_text()))
    return max(0, min(found))


def plan_memory(
    config: NetworkConfig,
    scan: int,
    model_voxels: int,
    window: tuple[int, int, int],
    original_voxels: int,
    available: int | None,
) -> Budget:
    """Predict, and choose the first rung that fits.

    Args:
        config: of the network.
        scan: bytes of the scan and of its copy on the model grid.
        model_voxels: of the cropped model grid.
        window: voxels of a window.
        original_voxels: of the label map.
        available: bytes; None means unknown, and RAM is used.

    Raises:
        MemoryBudgetError: not even the disk-backed rung fits; nothing was started.
    """
    features = 4 * config.features * model_voxels
    per_window = int(4 * _LIVE_TENSORS * config.features * window[0] * window[1] * window[2])
    # Labels (2 bytes at most) and one tile's logits of every class.
    labels = 2 * original_voxels + 2**28
    for rung in ("memory", "disk"):
        budget = Budget(scan, features, per_window, labels, available, rung)
        if available is None or budget.peak <= (1 - _RESERVE) * available:
            log.info("memory: %s", budget.summary())
            return budget
    gib = 2**30
    msg = (
        f"this case needs {budget.peak / gib:.1f} GiB even with features on disk, "
        f"{(available or 0) / gib:.1f} GiB are free: close programs, crop the scan, or use a "
        "model with smaller windows"
    )
    raise MemoryBudgetError(msg)
