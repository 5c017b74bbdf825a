"""JSON files that appear complete or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vista3d.volume.writers import atomic_path


def write_json(path: Path, value: Any) -> Path:
    """Write a value as indented UTF-8 JSON, atomically. NaN and infinity are refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)
