"""`/datastore/`: images are studies, labels are sessions."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from vista3d.errors import UsageError
from vista3d.sample import sha256_of
from vista3d.server.errors import NotFoundError
from vista3d.server.service import Service
from vista3d.server.storage import StudyRow
from vista3d.server.upload import Form, Received
from vista3d.server.wires.files import encode
from vista3d.server.wires.images import Images
from vista3d.server.wires.monai_label.about import STRATEGIES
from vista3d.server.wires.monai_label.label_file import read_label
from vista3d.server.wires.monai_label.saved import Saved, SavedLabels
from vista3d.server.wires.uploads import receive

FINAL = "final"
"""The tag of a label that a person has approved."""

_EXTENSION = ".nii.gz"

_LONGEST_NAME = 200

_UNSAFE = re.compile(r"[^\w.-]+")
"""What has no place in a file's name on somebody's disk."""


class Datastore:
    """The endpoints.

    Args:
        service: of the server.
        images: what clients call them.
        saved: their labels.
    """

    def __init__(self, service: Service, images: Images, saved: SavedLabels) -> None:
        self._service, self._images, self._saved = service, images, saved

    def stats(self) -> dict[str, Any]:
        """How many images, and how many of them are labelled."""
        rows = self._service.studies.list()
        tags = [set(self._saved.tags(row.id)) for row in rows]
        every = {tag for some in tags for tag in some}
        return {
            "total": len(rows),
            "completed": sum(FINAL in some for some in tags),
            "label_tags": {tag: sum(tag in some for some in tags) for tag in sorted(every)},
        }

    def get(self, output: str = "stats") -> Any:
        """Numbers, everything, or what could be trained on."""
        if output == "stats":
            return self.stats()
        if output == "all":
            rows = self._service.studies.list()
            return {
                "name": "vista3d", "description": "Studies of this server",
                "images_dir": "", "labels_dir": "",  # where they are is nobody's business
                "objects": {row.id: self._entry(row) for row in rows},
            }  # fmt: skip
        if output == "train":
            rows = self._service.studies.list()
            return [{"image": row.id, "label": row.id} for row in rows
                    if FINAL in self._saved.tags(row.id)]  # fmt: skip
        msg = f"output={output[:20]!r}: one of stats, all, train"
        raise UsageError(msg)

    async def put_image(self, request: Request, image: str = "") -> dict[str, str]:
        """Take in an image; this client may call it by the name it gives."""
        if len(image) > _LONGEST_NAME:
            msg = f"an image's name has at most {_LONGEST_NAME} characters, not {len(image)}"
            raise UsageError(msg)
        with self._service.storage.incoming() as folder:
            form = await receive(self._service, request, folder)
            sent = [file for file in form.files if file.field == "file"]
            named = [Received("files", image or file.name, file.path) for file in sent]
            row = await run_in_threadpool(self._service.studies.add, named)
        if image:
            self._images.remember(_client(_params(form)), image, row.id)
        return {"image": image or row.id}

    def get_image(self, image: str, check_sum: str | None = None) -> Response:
        """The image as .nii.gz.

        A client that asks whether its own copy is the same (`check_sum`) is told no, as what is
        kept here is another file; it then sends or fetches the image.
        """
        if check_sum is not None:
            msg = "no check sums are kept of images: fetch it, or send yours"
            raise NotFoundError(msg)
        row = self._images.find(image)
        path = self._service.studies.image(row.id)
        return FileResponse(path, filename=f"{row.id}{_EXTENSION}", media_type="application/gzip")

    def image_info(self, image: str) -> dict[str, Any]:
        """What is known of an image."""
        info: dict[str, Any] = self._entry(self._images.find(image))["image"]["info"]
        return info

    def remove_image(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Delete an upload without labels and sessions."""
        self._service.studies.remove(self._images.find(id).id)
        return {}

    async def put_label(self, request: Request, image: str, tag: str = FINAL) -> dict[str, str]:
        """Keep a label as a session that the annotator opens."""
        tag = _checked(tag or FINAL)
        with self._service.storage.incoming() as folder:
            form = await receive(self._service, request, folder)
            sent = [file for file in form.files if file.field == "label"]
            if len(sent) != 1:
                msg = f"the form has {len(sent)} files in the field 'label': send one"
                raise UsageError(msg)
            params = _params(form)
            row = await run_in_threadpool(self._images.find, image, _client(params))
            saved = await run_in_threadpool(self._keep, row.id, tag, sent[0], _names(params))
        return {"image": row.id, "label": row.id, "tag": tag, "session": saved.session}

    def get_label(self, label: str, tag: str = FINAL) -> Response:
        """A label as .nii.gz with the values it was saved with."""
        row = self._images.find(label)
        labels, _, volume = self._saved.label_map(self._saved.find(row.id, tag))
        data = encode(self._service, labels, volume, _EXTENSION, compress=True)
        # 3D Slicer takes the extension from this header, in these quotes.
        headers = {"Content-Disposition": f'attachment; filename="{row.id}{_EXTENSION}"'}
        return Response(data, media_type="application/gzip", headers=headers)

    def head_label(self, image: str, tag: str = FINAL) -> Response:
        """Whether there is one."""
        self._saved.find(self._images.find(image).id, tag)
        return Response()

    def label_info(self, label: str, tag: str = FINAL) -> dict[str, Any]:
        """The names of its values."""
        return self._label_info(self._saved.find(self._images.find(label).id, tag))

    def remove_label(self, id: str, tag: str = FINAL) -> dict[str, Any]:  # noqa: A002
        """Delete a label and its session."""
        self._saved.remove(self._images.find(id).id, tag)
        return {}

    def next_sample(self, strategy: str) -> dict[str, Any]:
        """An image without a final label; nothing when all have one."""
        if strategy not in STRATEGIES:
            msg = f"there is no strategy {strategy[:40]!r}: {', '.join(STRATEGIES)}"
            raise NotFoundError(msg)
        rows = [r for r in self._service.studies.list() if FINAL not in self._saved.tags(r.id)]
        if not rows:
            return {}
        row = rows[0] if strategy == "first" else random.choice(rows)
        # 3D Slicer keeps the image under this name, and tells its type by the extension; a file
        # that it has already under the name is taken if the check sum is the same.
        name = f"{_UNSAFE.sub('_', row.name)}-{row.id[:8]}{_EXTENSION}"
        digest = sha256_of(self._service.studies.image(row.id))
        return {
            "id": row.id, "name": name, "path": "", "checksum": f"SHA256:{digest}",
            "strategy": strategy, **self._images.uids(row),
        }  # fmt: skip

    def _keep(self, study: str, tag: str, file: Received, names: dict[int, str]) -> Saved:
        geometry = self._service.studies.open(study).geometry
        labels = read_label(file, geometry, self._service.limits)
        return self._saved.save(study, tag, labels, names)

    def _entry(self, row: StudyRow) -> dict[str, Any]:
        tags = self._saved.tags(row.id)
        return {
            "image": {"ext": _EXTENSION, "info": {"name": row.name, "ts": row.created}},
            "labels": {
                tag: {"ext": _EXTENSION, "info": {"session": saved.session}}
                for tag, saved in tags.items()
            },
        }

    def _label_info(self, saved: Saved) -> dict[str, Any]:
        names = self._saved.names(saved)
        return {"label_info": [{"name": name, "idx": idx} for idx, name in sorted(names.items())]}


def _params(form: Form) -> dict[str, Any]:
    try:
        params = json.loads(form.fields.get("params") or "{}")
    except (ValueError, RecursionError):
        params = None
    if not isinstance(params, dict):
        msg = "params is not a JSON object"
        raise UsageError(msg)
    return params


def _client(params: dict[str, Any]) -> str:
    return str(params.get("client_id") or "")[:_LONGEST_NAME]


def _names(params: dict[str, Any]) -> dict[int, str]:
    """Value -> name of `label_info`."""
    try:
        listed = params.get("label_info") or []
        return {int(one["idx"]): str(one["name"]).strip()[:120] for one in listed}
    except (TypeError, KeyError, ValueError, OverflowError):
        msg = 'label_info is a list of {"name": ..., "idx": ...}'
        raise UsageError(msg) from None


def _checked(tag: str) -> str:
    if not (tag.isprintable() and len(tag) <= 64):
        msg = f"a tag has at most 64 printable characters: {tag[:80]!r}"
        raise UsageError(msg)
    return tag
