"""A server on a small phantom, with the real model."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi.testclient import TestClient

from vista3d.server import warm_up
from vista3d.server.app import create_app
from vista3d.server.errors import BusyError
from vista3d.server.service import Service
from vista3d.server.settings import Limits, Settings

AFFINE = np.array([[-3.0, 0, 0, 80], [0, -3, 0, 70], [0, 0, 4, -50], [0, 0, 0, 1]])
"""LPS voxels: what a DICOM series has, so that no test passes by an identity."""


def body_array(shape=(48, 44, 32)) -> np.ndarray:
    """Fat with a bright ball, in air, int16 HU."""
    grid = np.indices(shape)
    array = np.full(shape, -1000, np.int16)
    centre = np.array(shape) / 2
    distance = np.linalg.norm((grid - centre[:, None, None, None]) / centre[:, None, None, None],
                              axis=0)  # fmt: skip
    array[distance < 0.9] = -90
    array[distance < 0.45] = 110
    return array


def nifti_bytes(array: np.ndarray, affine: np.ndarray = AFFINE) -> bytes:
    """A .nii.gz in memory."""
    return gzip.compress(nib.Nifti1Image(array, affine).to_bytes(), 1)


def read_nifti_bytes(data: bytes) -> nib.Nifti1Image:
    """The inverse."""
    return nib.Nifti1Image.from_bytes(gzip.decompress(data))


@pytest.fixture(scope="session")
def model():
    """The shipped model, on PyTorch: nothing is converted."""
    import vista3d

    return vista3d.load("mini", runtime="torch", precision="fp32")


@contextmanager
def services(model, root: Path):
    """A maker of services with settings of a test's choice; all are closed at the end."""
    made = []

    def make(scans=lambda: (), token=None, folder="storage", **limits) -> Service:
        settings = Settings(root / folder, token=token, limits=Limits(**limits))
        made.append(Service(model, settings, scans))
        return made[-1]

    yield make
    for service in made:
        service.close()


@pytest.fixture
def make_service(model, tmp_path, monkeypatch):
    """Services of a test's own."""
    monkeypatch.setattr(warm_up, "click", lambda *_: None)  # the shared service has warmed it
    with services(model, tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def service(model, tmp_path_factory):
    """The service that most tests share, as people share a server."""
    with services(model, tmp_path_factory.mktemp("server")) as make:
        yield make()


def client_of(service: Service) -> TestClient:
    """A client that speaks to the application in this process."""
    return TestClient(create_app(service), base_url="http://127.0.0.1")


@pytest.fixture(scope="session")
def client(service) -> TestClient:
    """A client of `service`."""
    return client_of(service)


@pytest.fixture(scope="session")
def scan_bytes() -> bytes:
    """The phantom as .nii.gz."""
    return nifti_bytes(body_array())


def upload(client, data: bytes, name: str = "ct.nii.gz", expect: int = 201) -> dict:
    """Upload one file; the status must be as expected."""
    answer = client.post("/api/v1/studies", files=[("files", (name, data))])
    assert answer.status_code == expect, answer.text
    return answer.json()


@pytest.fixture(scope="session")
def study(client, scan_bytes) -> dict:
    """The phantom, uploaded once."""
    return upload(client, scan_bytes)


@pytest.fixture
def session(client, study) -> str:
    """Path of a new session on the phantom."""
    return begin(client, study)


def begin(client, study: dict) -> str:
    """Path of a new session on a study."""
    answer = client.post("/api/v1/sessions", json={"study": study["id"]})
    assert answer.status_code == 201, answer.text
    return f"/api/v1/sessions/{answer.json()['id']}"


def brush(client, session: str, number: int, box: str, values: np.ndarray) -> dict:
    """Paint values into a box; the answer must be good."""
    body = gzip.compress(values.astype(np.uint8).tobytes(order="F"))
    answer = client.post(f"{session}/brush", params={"object": number, "box": box}, content=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def paint_cube(client, session: str, corner=(4, 4, 4), size: int = 6, **names) -> int:
    """A new object with a cube; its number."""
    state = client.post(f"{session}/objects", json=names).json()["state"]
    box = ",".join(f"{c},{c + size}" for c in corner)
    brush(client, session, state["active"], box, np.ones((size,) * 3))
    return state["active"]


def click(client, session: str, voxel=(24, 22, 16), positive=True, **extra):
    """Click at a voxel; the answer must be good."""
    body = {"position": list(voxel), "space": "voxel", "positive": positive, **extra}
    answer = client.post(f"{session}/clicks", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def labels(client, session: str, shape, box: str | None = None) -> np.ndarray:
    """The label map as the page reads it."""
    answer = client.get(f"{session}/labels", params={"box": box} if box else {})
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<u2").reshape(shape, order="F")


def refuse(*_):
    """In the place of what a busy server does not do."""
    msg = "all sessions are in use"
    raise BusyError(msg)


def stored_files(folder: Path) -> set[str]:
    """Names of all files below a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file()}
