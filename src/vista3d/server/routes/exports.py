"""A session as a file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from vista3d.server.exports import export
from vista3d.server.routes.common import API, Id, Served

router = APIRouter(prefix=f"{API}/sessions", tags=["exports"])


@router.get("/{session}/export", response_class=FileResponse)
def get_export(service: Served, session: Id, format: str = "nii") -> FileResponse:  # noqa: A002
    """All objects for other programs: nii, seg.nrrd, dicom-seg, rtstruct, stl."""
    folder = Path(tempfile.mkdtemp(dir=service.storage.root / "incoming"))
    gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    try:
        path, chosen = export(service, session, format, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(path, media_type=chosen.media, filename=path.name, background=gone)
