"""The wires on a server whose clicks paint balls: what is tested here is how others are spoken to.

`real_client` has the shipped model, for one test per wire from end to end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

from tests.inference.interactive import fake
from tests.server.conftest import nifti_bytes, services
from vista3d import anatomy
from vista3d.errors import CancelledError
from vista3d.inference import InteractiveSession, Model
from vista3d.server import wires
from vista3d.server.app import create_app
from vista3d.server.run import listen
from vista3d.server.service import Service
from vista3d.server.wires import Options

SHAPE = fake.SHAPE
SCAN = fake.scan()
CENTRE = (12, 10, 8)
LIVER, SPLEEN = 1, 3
"""What the automatic run of the fake finds."""

TOKEN = "correct-horse-battery"


class CountingBalls(fake.Balls):
    """All clicks of the tests' model, counted."""

    computed = 0

    def mask(self, prompt, listen):
        CountingBalls.computed += 1
        return super().mask(prompt, listen)


def automatic(classes, progress=None, cancel=None):
    """Those of the asked classes that the fake finds; "heart" takes until it is cancelled."""
    if classes == ["heart"]:
        assert cancel.wait(60)
        raise CancelledError("cancelled")
    labels, ids = fake.automatic(classes, progress, cancel)
    if classes != "everything":
        ids = tuple(i for i in anatomy.resolve(classes) if i in ids)
    return np.where(np.isin(labels, ids), labels, 0), ids


@dataclass(frozen=True, eq=False)
class Toy(Model):
    """The shipped model's papers, and no network."""

    def session(self, volume, **_):
        return InteractiveSession(volume, CountingBalls(), automatic)

    def open_session(self, path, volume, **_):
        return InteractiveSession.load(path, volume, CountingBalls(), automatic)


@pytest.fixture(scope="session")
def toy(model) -> Toy:
    """The fake model."""
    return Toy(model.network, model.meta, model.runtime)


@pytest.fixture
def make_service(toy, tmp_path):
    """Services of a test's own."""
    with services(toy, tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def service(toy, tmp_path_factory):
    """The service that most tests share."""
    with services(toy, tmp_path_factory.mktemp("wires")) as make:
        yield make()


@pytest.fixture(scope="session")
def scan_bytes() -> bytes:
    """The scan as .nii.gz."""
    return nifti_bytes(SCAN.array, SCAN.affine)


@pytest.fixture(scope="session")
def client(service) -> TestClient:
    """A client of the shared service, with all wires."""
    return wired(service)


@pytest.fixture(scope="session")
def study(client, scan_bytes) -> str:
    """Id of the scan, uploaded once."""
    return upload(client, scan_bytes)


@pytest.fixture(scope="module")
def address(service):
    """URL of a real server on loopback, for clients that open connections themselves."""
    with serving(service) as url:
        yield url


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """A real server on loopback; the service is not its to close."""
    at = listen("127.0.0.1", 0)
    app = create_app(service, wires.build(service, Options(axes="LPS")))  # the scan's own axes
    config = uvicorn.Config(
        app, http="h11", log_config=None, timeout_graceful_shutdown=1, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{at.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def real_client(model, tmp_path_factory):
    """All wires on the shipped model."""
    with services(model, tmp_path_factory.mktemp("real")) as make:
        yield wired(make())


def wired(service: Service, options: Options | None = None) -> TestClient:
    """A client of a server with all wires."""
    app = create_app(service, wires.build(service, options))
    return TestClient(app, base_url="http://127.0.0.1")


def upload(client, data: bytes, name: str = "ct.nii.gz") -> str:
    """Upload one file through the server's own API; its id."""
    answer = client.post("/api/v1/studies", files=[("files", (name, data))])
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def computed(work) -> int:
    """How many clicks the network answered meanwhile."""
    before = CountingBalls.computed
    work()
    return CountingBalls.computed - before
