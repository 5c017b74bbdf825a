"""The routes of nnInteractive's protocol."""

from __future__ import annotations

import re

from fastapi import APIRouter

from vista3d.server.errors import StartError
from vista3d.server.service import Service
from vista3d.server.wire import Wire
from vista3d.server.wires.nninteractive.remote import Remote
from vista3d.server.wires.nninteractive.replies import DetailRoute
from vista3d.server.wires.options import Options


def wire(service: Service, options: Options) -> Wire:
    """The wire on a service.

    Raises:
        StartError: a class that does not exist.
    """
    name = options.object_class
    if name is not None and service.model.vocabulary.single(name) is None:
        msg = f"{name[:80]!r} is not one structure: `vista3d classes` lists them"
        raise StartError(msg)
    remote = Remote(service, options)
    router = APIRouter(tags=["nnInteractive"], route_class=DetailRoute)
    for method, path, endpoint in (
        ("GET", "/capabilities", remote.capabilities),
        ("POST", "/claim", remote.claim),
        ("POST", "/release", remote.release),
        ("POST", "/heartbeat", remote.heartbeat),
        ("GET", "/lease_status", remote.lease_status),
        ("POST", "/set_image", remote.set_image),
        ("POST", "/set_target_buffer", remote.set_target_buffer),
        ("POST", "/set_do_autozoom", remote.set_do_autozoom),
        ("POST", "/reset_interactions", remote.reset_interactions),
        ("POST", "/add_point_interaction", remote.add_point),
        ("POST", "/predict", remote.predict),
        ("POST", "/undo", remote.undo),
        ("POST", "/add_initial_seg_interaction", remote.add_initial_seg),
        ("POST", "/add_bbox_interaction", remote.unsupported),
        ("POST", "/add_scribble_interaction", remote.unsupported),
        ("POST", "/add_lasso_interaction", remote.unsupported),
    ):
        router.add_api_route(path, endpoint, methods=[method], response_model=None)
    arrays = re.compile(r"/set_image|/add_(initial_seg|scribble|lasso)_interaction")
    limit = service.limits.upload_bytes
    leases = remote.leases
    return Wire(router, body_limits={arrays: limit}, tidy=leases.sweep, close=leases.close)
