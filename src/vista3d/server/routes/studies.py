"""Scans: list, upload, look at, delete."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from vista3d.server.body import check_room
from vista3d.server.routes.common import API, Id, Served
from vista3d.server.schemas import StudyOut, study_out
from vista3d.server.upload import receive_form

router = APIRouter(prefix=f"{API}/studies", tags=["studies"])

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                    "required": ["files"],
                }
            }
        },
    }
}


@router.get("")
def list_studies(service: Served) -> list[StudyOut]:
    """Uploads, and the scans of the --data folder."""
    return [study_out(row, service.storage.sessions(row.id)) for row in service.studies.list()]


@router.post("", status_code=201, openapi_extra=_FORM)
async def upload(service: Served, request: Request) -> StudyOut:
    """One study in the field `files`: a NIfTI, NRRD or MHA, a zip of DICOM, or DICOM slices."""
    check_room(service, request)
    with service.storage.incoming() as folder:
        form = await receive_form(
            request.stream(), request.headers.get("content-type", ""), folder,
            service.limits.upload_files,
        )  # fmt: skip
        files = [file for file in form.files if file.field == "files"]
        row = await run_in_threadpool(service.studies.add, files)
    return study_out(row, [])


@router.get("/{study}")
def get_study(service: Served, study: Id) -> StudyOut:
    """One study; a folder study is read if it was not yet, so that its grid is known."""
    if service.studies.find(study).shape is None:
        service.studies.open(study)
    return study_out(service.studies.find(study), service.storage.sessions(study))


@router.delete("/{study}", status_code=204)
def delete_study(service: Served, study: Id) -> None:
    """Delete an upload without sessions; 409 otherwise."""
    service.studies.remove(study)


@router.get("/{study}/image", response_class=FileResponse)
def image(service: Served, study: Id) -> FileResponse:
    """The scan as int16 .nii.gz on the sessions' grid."""
    path = service.studies.image(study)
    upload = service.studies.find(study).source == "upload"
    keep = "private, max-age=3600" if upload else "no-store"  # files under --data may change
    return FileResponse(path, media_type="application/gzip", filename=f"{study}.nii.gz",
                        headers={"Cache-Control": keep})  # fmt: skip
