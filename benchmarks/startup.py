"""Seconds of `import vista3d` and of `vista3d --help`: median of 11 fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def main(arguments: list[str]) -> None:
    for title, command in (
        ("import vista3d", ["-c", "import vista3d"]),
        ("vista3d --help", ["-m", "vista3d", "--help"]),
        ("python -c pass", ["-c", "pass"]),
    ):
        seconds = []
        for _ in range(11):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
        print(f"{title}: {statistics.median(seconds):.3f} s")
