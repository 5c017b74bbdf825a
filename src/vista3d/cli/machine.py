"""What this machine is: interpreter, libraries, processor, memory, accelerators, disk, hub.

Everything is read, nothing is written, and nothing leaves the machine.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

LIBRARIES = (
    "vista3d", "torch", "openvino", "numpy", "nibabel", "SimpleITK", "pydicom", "safetensors",
)  # fmt: skip
MATRIX_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "neon",
                "asimd", "bf16", "sve")  # fmt: skip
"""Instructions that decide how fast a network runs on a CPU, in the names of /proc/cpuinfo."""
HUB_VARIABLES = ("HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "VISTA3D_HOME")
GIB = 1 << 30


def describe_machine() -> dict[str, Any]:
    """All that `vista3d doctor` says of the machine, as plain values."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "cpu": describe_cpu(),
        "memory": describe_memory(),
        "accelerators": describe_accelerators(),
        "cache": describe_cache(),
        "hub": describe_hub(),
    }


def describe_cpu() -> dict[str, Any]:
    """Model name, usable cores, and the instructions that matter here."""
    fields = _cpuinfo()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "model": fields.get("model name") or platform.processor() or platform.machine(),
        "cores": usable_cores(),
        "instructions": [flag for flag in MATRIX_FLAGS if flag in flags],
    }


def usable_cores() -> int:
    """Cores this process may use, which a container can limit."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_memory() -> dict[str, float | None]:
    """Total memory, and what a case may take of it, in GiB; None where the system does not tell."""
    from vista3d.inference.budget import available_memory

    values: dict[str, float | None] = {"total_gib": None, "available_gib": None}
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            values["total_gib"] = round(pages / GIB, 1)
        return values
    total = next((line.split()[1] for line in lines if line.startswith("MemTotal:")), None)
    if total is not None:
        values["total_gib"] = round(int(total) * 1024 / GIB, 1)
    free = available_memory()
    if free is not None:
        values["available_gib"] = round(free / GIB, 1)
    return values


def describe_accelerators() -> list[dict[str, Any]]:
    """CUDA devices and Apple's MPS, as torch sees them."""
    import torch

    found: list[dict[str, Any]] = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        card = torch.cuda.get_device_properties(index)
        memory = round(card.total_memory / GIB, 1)
        found.append({"device": f"cuda:{index}", "name": card.name, "memory_gib": memory})
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU", "memory_gib": None})
    return found


def describe_cache() -> dict[str, Any]:
    """Where downloaded weights are kept, and the space that is left there."""
    from vista3d.network.weights import home

    return {"folder": str(home()), "free_gib": free_gib(home())}


def describe_hub() -> dict[str, Any]:
    """The variables that steer downloads; the hub itself is not asked."""
    settings = {name: os.environ[name] for name in HUB_VARIABLES if name in os.environ}
    offline = settings.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return {"offline": offline, "variables": settings}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpuinfo() -> dict[str, str]:
    """Fields of the first processor; empty where there is no /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    first = text.split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def free_gib(folder: Path) -> float | None:
    """Free space in GiB on the disk that holds, or would hold, a folder."""
    for place in (folder, *folder.parents):
        if place.exists():
            return round(shutil.disk_usage(place).free / GIB, 1)
    return None
