"""`python -m benchmarks NAME [options]`; without a name it lists them."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "ablation",
    "auto",
    "clicks",
    "few_shot",
    "memory",
    "model_card",
    "server_clicks",
    "server_soak",
    "session_clicks",
    "startup",
    "store",
    "supervoxels",
    "synthetic_pictures",
    "training",
)

if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
    sys.exit(f"usage: python -m benchmarks {'|'.join(NAMES)} [--help]")
importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
