"""All wires of a server."""

from __future__ import annotations

from vista3d.server.service import Service
from vista3d.server.wire import Wire
from vista3d.server.wires.monai_label.wire import wire as monai_label
from vista3d.server.wires.nim import wire as nim
from vista3d.server.wires.nninteractive.wire import wire as nninteractive
from vista3d.server.wires.options import Options


def build(service: Service, options: Options | None = None) -> list[Wire]:
    """The wires for `create_app(service, wires)`."""
    chosen = options or Options()
    return [
        monai_label(service),
        nim(service, chosen.allow_urls),
        nninteractive(service, chosen),
    ]
