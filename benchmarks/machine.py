"""What every benchmark says about where it ran, and how it measures memory."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Processor, cores and library versions."""
    import torch

    model = ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text().splitlines()
        model = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")
    return {
        "cpu": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "environment": heap_settings(),
    }


def peak_gib() -> float:
    """Largest resident size of this process so far.

    VmHWM, where there is one: `ru_maxrss` of a fresh process starts at the size of its parent.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def heap_settings() -> str:
    """Which allocator settings of the Makefile are on; 1.3x for torch on a CPU."""
    names = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "OMP_WAIT_POLICY")
    return ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ) or "none"


def in_subprocess(module: str, *args: str) -> dict[str, Any]:
    """Run `python -m module args` alone; its last line of output is JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *args], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result
