"""Listen: one process, one model, until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import uvicorn

from vista3d.server.app import create_app
from vista3d.server.errors import StartError
from vista3d.server.service import Service
from vista3d.server.wire import Wire


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 takes a free one.

    Raises:
        StartError: the address is taken or not of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        msg = f"cannot listen at {host} port {port} ({error.strerror}): choose another --port"
        raise StartError(msg) from error


def run(
    service: Service, at: socket.socket, tell: Callable[[], None], wires: Sequence[Wire] = ()
) -> None:
    """Serve until SIGINT or SIGTERM; `tell` is called once connections are taken."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            tell()

    config = uvicorn.Config(
        create_app(service, wires),
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,  # it would write queries, and with them the token; `answers` logs instead
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    Server(config).run(sockets=[at])
