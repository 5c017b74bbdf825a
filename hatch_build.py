"""Builds the annotator page into the package: wheels and source distributions carry it ready.

With npm, `web/` is built afresh. Without, a page that is already there (as in a source
distribution) is taken, and where there is none the package is built without it: the server then
says how to get it. An editable install is left alone; `make web` builds the page in place.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("src/vista3d/server/static/index.html")


class PageBuildHook(BuildHookInterface):  # type: ignore[misc]
    """`npm ci && npm run build` in `web/`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        npm = shutil.which("npm")
        if npm is not None and (root / "web" / "package-lock.json").is_file():
            for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
                subprocess.run([npm, *arguments], cwd=root / "web", check=True)
        elif not (root / PAGE).is_file():
            self.app.display_warning(
                "npm is not here and the annotator page is not built: `vista3d serve` will answer "
                "its API without the page. Install Node.js 20 or newer and build again."
            )
