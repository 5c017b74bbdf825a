"""The first load of a model on a machine, which converts it for OpenVINO.

`python -m benchmarks.convert ours-openvino-PRECISION WEIGHTS` prints seconds and peak memory.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.machine import peak_gib
from vista3d.inference import load


def main() -> None:
    _, runtime, precision = sys.argv[1].split("-")
    started = time.perf_counter()
    load(sys.argv[2], device="cpu", runtime=runtime, precision=precision)
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_gib": peak_gib()}))


if __name__ == "__main__":
    main()
