"""The page's own tests: geometry, labels, strokes and retries, and its types."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "web"


@pytest.mark.parametrize("script", ["check", "test"])
def test_npm(script: str) -> None:
    npm = shutil.which("npm")
    if npm is None or not (WEB / "node_modules").is_dir():
        pytest.skip("web/node_modules is not there: make web")
    done = subprocess.run(
        [npm, "run", script], cwd=WEB, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
