"""`python -m benchmarks NAME [options]`; without a name it lists them."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "auto",
    "click_accuracy",
    "clicks",
    "memory",
    "validation",
    "startup",
    "store",
    "supervoxels",
    "synthetic_pictures",
)

if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
    sys.exit(f"usage: python -m benchmarks {'|'.join(NAMES)} [--help]")
importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
