"""The routes of MONAI Label's protocol."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter

from vista3d.server.service import Service
from vista3d.server.wire import Wire
from vista3d.server.wires.conversations import Conversations
from vista3d.server.wires.images import Images
from vista3d.server.wires.monai_label.about import info
from vista3d.server.wires.monai_label.auth import OPEN, Login
from vista3d.server.wires.monai_label.datastore import Datastore
from vista3d.server.wires.monai_label.image_sessions import ImageSessions
from vista3d.server.wires.monai_label.infer import Inference
from vista3d.server.wires.monai_label.saved import SavedLabels


def wire(service: Service) -> Wire:
    """The wire on a service."""
    images, conversations = Images(service), Conversations(service)
    sent = ImageSessions(service, conversations)
    inference = Inference(service, images, sent, conversations)
    store = Datastore(service, images, SavedLabels(service))
    login = Login(service.settings)

    def about() -> dict[str, Any]:
        """Models, labels, and how much is done."""
        return info(service, store.stats())

    router = APIRouter(tags=["MONAI Label"])
    for method, path, endpoint in (
        ("GET", "/info/", about),
        ("POST", "/infer/{model}", inference.infer),
        ("PUT", "/session/", sent.create),
        ("GET", "/session/{session_id}", sent.get),
        ("DELETE", "/session/{session_id}", sent.remove),
        ("GET", "/datastore/", store.get),
        ("PUT", "/datastore/", store.put_image),  # the one that 3D Slicer really calls
        ("PUT", "/datastore/image", store.put_image),
        ("GET", "/datastore/image", store.get_image),
        ("HEAD", "/datastore/image", store.get_image),
        ("DELETE", "/datastore/image", store.remove_image),
        ("GET", "/datastore/image/info", store.image_info),
        ("PUT", "/datastore/label", store.put_label),
        ("GET", "/datastore/label", store.get_label),
        ("HEAD", "/datastore/label", store.head_label),
        ("DELETE", "/datastore/label", store.remove_label),
        ("GET", "/datastore/label/info", store.label_info),
        ("POST", "/activelearning/{strategy}", store.next_sample),
        ("GET", "/auth/", login.about),
        ("POST", "/auth/token", login.token),
        ("GET", "/auth/token/valid", login.valid),
    ):
        router.add_api_route(path, endpoint, methods=[method], response_model=None)

    # Forms, and what MONAI Label's Python client asks for between two of them: once it has a token,
    # it repeats the Content-Length of its former request, without a body.
    paths = re.compile(
        r"/infer/[^/]+|/session/[^/]*|/datastore/(image|label)?|/info/|/auth/token/valid"
    )
    limits = {paths: service.limits.upload_bytes}
    return Wire(router, limits, OPEN, tidy=sent.drop_expired, close=conversations.close)
