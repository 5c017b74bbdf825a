"""`POST /infer/{model}`: classes, clicks, or everything."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from vista3d.errors import UsageError
from vista3d.inference.interactive import SessionObject
from vista3d.server.errors import FormatError, NotFoundError
from vista3d.server.service import Service
from vista3d.server.wires.conversations import Conversations
from vista3d.server.wires.files import encode
from vista3d.server.wires.images import Images
from vista3d.server.wires.monai_label.about import MODELS
from vista3d.server.wires.monai_label.image_sessions import ImageSessions
from vista3d.server.wires.monai_label.reply import answer
from vista3d.server.wires.monai_label.result import Dtype, Extension, result_of
from vista3d.server.wires.uploads import receive, temporary_study
from vista3d.server.wires.working import (
    Point,
    bring_to,
    object_of,
    points_of,
    run_automatic,
    temporary_session,
)

_Points = Annotated[list[Annotated[list[float], Field(min_length=3, max_length=3)]],
                    Field(max_length=200)]  # fmt: skip

OUTPUTS = ("all", "image", "json")


class Params(BaseModel):
    """What a client may say; everything else it sends is left alone.

    Neither the image nor the model nor the device can be chosen here: clients' option tables are
    merged into this object.
    """

    model_config = ConfigDict(extra="ignore")

    label_prompt: list[int | str] | None = Field(default=None, max_length=400)
    points: _Points | None = None
    point_labels: list[int] | None = None
    foreground: _Points | None = None
    background: _Points | None = None
    label: str | None = Field(default=None, max_length=120)
    result_extension: Extension = ".nrrd"
    result_dtype: Dtype = "uint16"
    result_compress: bool = True
    restore_label_idx: bool = True
    client_id: str | None = Field(default=None, max_length=200)

    @classmethod
    def parse(cls, text: str) -> Params:
        """From the form field.

        Raises:
            UsageError: not JSON, or not of these types.
        """
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, RecursionError, ValidationError) as error:
            first = error.errors()[0] if isinstance(error, ValidationError) else None
            where = "" if first is None else f"{'.'.join(str(p) for p in first['loc'])}: "
            reason = str(error) if first is None else first["msg"]
            msg = f"params: {where}{reason}"
            raise UsageError(msg) from None

    def clicks(self) -> list[Point] | None:
        """All points with their signs; None where none are meant.

        Labels 2 and 3 are 0 and 1 for structures that overlap others, -1 is padding (facts C1).
        """
        if self.points is not None:
            labels = self.point_labels or [1] * len(self.points)
            if len(labels) != len(self.points):
                msg = f"{len(self.points)} points have {len(labels)} point_labels"
                raise UsageError(msg)
            pairs = zip(self.points, labels, strict=True)
            return [p for at, sign in pairs if sign >= 0 for p in points_of([at], sign in (1, 3))]
        if self.foreground is None and self.background is None:
            return None
        return [*points_of(self.foreground or [], True), *points_of(self.background or [], False)]

    def target(self) -> str:
        """What the clicks belong to."""
        if self.label_prompt:
            if len(self.label_prompt) > 1:
                msg = f"points are for one class at a time, not for {len(self.label_prompt)}"
                raise UsageError(msg)
            return str(self.label_prompt[0])
        label = self.label or "object"
        return f"object {label}" if label.isdigit() else label  # a person's number is no class id


class Inference:
    """The endpoint.

    Args:
        service: of the server.
        images: what clients call them.
        sent: images that they have sent for a while.
        conversations: sessions that their clicks go on in.
    """

    def __init__(
        self, service: Service, images: Images, sent: ImageSessions, conversations: Conversations
    ) -> None:
        self._service, self._images, self._sent = service, images, sent
        self._conversations = conversations

    async def infer(
        self,
        request: Request,
        model: str,
        image: str = "",
        session_id: str = "",
        output: str = "all",
    ) -> Response:
        """Segment an image that is here, or one that comes in the field `file`."""
        if model not in MODELS:
            msg = f"there is no model {model[:80]!r}: {', '.join(MODELS)}"
            raise NotFoundError(msg)
        if output not in OUTPUTS:
            msg = f"output={output[:20]!r}: one of {', '.join(OUTPUTS)}; DICOM SEG: /api/v1 export"
            raise UsageError(msg)
        if session_id:
            await run_in_threadpool(self._sent.touch, session_id)
        started = time.perf_counter()
        service = self._service
        async with self._received(request, session_id or image) as (params, study):
            objects = await self._segment(request, params, study)
            volume = await run_in_threadpool(service.studies.open, study)
            result = await run_in_threadpool(
                result_of, objects, volume.geometry.shape,
                global_ids=not params.restore_label_idx, dtype=params.result_dtype,
            )  # fmt: skip
            told: dict[str, Any] = {
                "label_names": result.names,
                "centroids": result.centroids,
                "latencies": {"total": round(time.perf_counter() - started, 3)},
            }
            data = b""
            if output != "json":
                data = await run_in_threadpool(
                    encode, service, result.labels, volume, params.result_extension,
                    compress=params.result_compress,
                )  # fmt: skip
        return answer(output, told, data, params.result_extension)

    @contextlib.asynccontextmanager
    async def _received(self, request: Request, word: str) -> AsyncIterator[tuple[Params, str]]:
        """Parameters and study; a study that came with the request goes with it."""
        service = self._service
        with service.storage.incoming() as folder:
            form = await receive(service, request, folder)
            params = Params.parse(form.fields.get("params") or "{}")
            if any(file.field == "label" for file in form.files):
                msg = "scribbles and masks are not taken here: send points, or use /api/v1 sessions"
                raise FormatError(msg)
            sent = [file for file in form.files if file.field == "file"]
            if not sent:
                client = params.client_id or ""
                yield params, (await run_in_threadpool(self._images.find, word, client)).id
                return
            async with temporary_study(service, sent) as study:
                try:
                    yield params, study
                finally:
                    self._conversations.end(study)

    async def _segment(
        self, request: Request, params: Params, study: str
    ) -> tuple[SessionObject, ...]:
        clicks = params.clicks()
        if clicks is not None:
            return (await run_in_threadpool(self._click, params, study, clicks),)
        async with temporary_session(self._service, study) as session:
            view = await run_automatic(self._service, request, session, params.label_prompt or ())
        return view.objects

    def _click(self, params: Params, study: str, clicks: list[Point]) -> SessionObject:
        service = self._service
        with self._conversations.session(params.client_id or "", study) as session:
            number = object_of(service, session, params.target())
            return bring_to(service, session, number, clicks)
