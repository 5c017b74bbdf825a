"""nnInteractive's remote protocol, driven by its own client over loopback."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from tests.server.conftest import AFFINE, body_array
from tests.server.wires.conftest import CENTRE, SCAN, SHAPE, TOKEN, wired
from vista3d.errors import InputError, UsageError
from vista3d.server.errors import StartError, TooLargeError
from vista3d.server.settings import Limits
from vista3d.server.wires import Options
from vista3d.server.wires.nninteractive.arrays import pack, unpack
from vista3d.server.wires.nninteractive.image import affine_of

remote = pytest.importorskip("nnInteractive.inference.remote")
httpx = pytest.importorskip("httpx")

SPACING = [1.0, 1.0, 2.0]
BESIDE = (14, 10, 8)


@pytest.fixture
def drawn(address):
    """The real client with the scan and a target buffer."""
    with remote.nnInteractiveRemoteInferenceSession(address) as session:
        session.set_image(SCAN.array[None], {"spacing": SPACING})
        session.set_target_buffer(np.zeros(SHAPE, np.uint8))
        yield session


def test_capabilities_reach_the_client(address):
    with remote.nnInteractiveRemoteInferenceSession(address) as session:
        assert session.ping()
        assert session.supported_interactions["points"]
        assert not any(
            session.supported_interactions[name] for name in ("bbox2d", "scribble", "lasso")
        )
        assert session.supports_initial_label
        assert session.supports_undo
        assert session.lease_status()["remaining_seconds"] > 0
        assert session.heartbeat() > 0


def test_points_undo_and_reset_are_the_session_s_own(drawn, service, study):
    """The client's mask is voxel by voxel what a session of the server answers."""
    box = drawn.add_point_interaction(CENTRE, include_interaction=True)
    first = drawn.target_buffer.copy()
    assert first[CENTRE] == 1
    assert box == [[8, 17], [6, 15], [4, 13]]
    drawn.add_point_interaction(BESIDE, include_interaction=False)
    second = drawn.target_buffer.copy()

    key = service.sessions.create(study)
    for mask, (voxel, positive) in zip(
        (first, second), ((CENTRE, True), (BESIDE, False)), strict=True
    ):
        edit = service.click(key, voxel, positive, space="voxel")
        assert np.array_equal(edit.view.objects[0].mask.array(), mask.astype(bool))
    service.delete_session(key)

    assert drawn.undo()
    assert np.array_equal(drawn.target_buffer, first)
    assert drawn.undo()
    assert not drawn.target_buffer.any()
    assert not drawn.undo()

    drawn.add_point_interaction(CENTRE, include_interaction=True)
    drawn.reset_interactions()
    assert not drawn.target_buffer.any()
    assert not drawn.undo()
    drawn.add_point_interaction(CENTRE, include_interaction=True)
    assert np.array_equal(drawn.target_buffer, first)


def test_points_can_wait_for_one_prediction(drawn):
    drawn.add_point_interaction(CENTRE, include_interaction=True, run_prediction=False)
    drawn.add_point_interaction((2, 2, 2), include_interaction=False, run_prediction=False)
    assert not drawn.target_buffer.any()
    assert drawn.undo()  # the negative one
    assert drawn._predict() is not None
    assert drawn.target_buffer[CENTRE] == 1
    assert drawn._predict() is None


def test_initial_segmentation_is_where_clicks_and_undo_go_on(drawn):
    mask = np.zeros(drawn.target_buffer.shape, np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    drawn.add_initial_seg_interaction(mask)
    assert np.array_equal(drawn.target_buffer, mask)
    drawn.add_point_interaction(CENTRE, include_interaction=True)
    assert drawn.target_buffer[CENTRE] == 1
    assert drawn.target_buffer[2, 2, 2] == 1
    assert drawn.undo()
    assert np.array_equal(drawn.target_buffer, mask)
    assert drawn.undo()
    assert not drawn.target_buffer.any()


@pytest.mark.parametrize("override", [False, True])
def test_other_tools_are_refused_with_a_reason(drawn, override):
    crop = np.ones((3, 3, 1), np.uint8)
    box = [[1, 4], [1, 4], [1, 2]]
    for name, call in (
        ("bbox", lambda: drawn.add_bbox_interaction(box, True, True, override)),
        ("scribble", lambda: drawn.add_scribble_interaction(crop, True, True, override, box)),
        ("lasso", lambda: drawn.add_lasso_interaction(crop, True, True, override, box)),
    ):
        with pytest.raises(httpx.HTTPStatusError) as error:
            call()
        assert error.value.response.status_code == 422
        assert name in error.value.response.json()["detail"]
    assert not drawn.target_buffer.any()


def test_a_new_image_replaces_the_former_one(address, service):
    before = {row.id for row in service.studies.list()}
    with remote.nnInteractiveRemoteInferenceSession(address) as session:
        session.set_image(SCAN.array[None], {"spacing": SPACING})
        session.set_image(SCAN.array[None, :20].astype(np.float32), {"spacing": SPACING})
        assert session.original_image_shape == (1, 20, *SHAPE[1:])
        (row,) = [row for row in service.studies.list() if row.id not in before]
        assert row.shape == (20, *SHAPE[1:])
        assert np.allclose(np.array(row.affine)[:3, :3], SCAN.affine[:3, :3])
    assert {row.id for row in service.studies.list()} == before


def test_an_unknown_lease_is_an_expired_session(address):
    with remote.nnInteractiveRemoteInferenceSession(address) as session:
        session._http.headers["X-Lease-Token"] = "nobody"
        with pytest.raises(remote.SessionExpiredError, match="connect again"):
            session.undo()


def test_token_and_number_of_clients(make_service):
    client = wired(make_service(token=TOKEN), Options(leases=1))
    assert client.post("/claim").status_code == 401
    assert client.get("/healthz").status_code == 200
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    token = client.post("/claim").json()["lease_token"]
    full = client.post("/claim")
    assert (full.status_code, full.headers["retry-after"]) == (503, "10")
    assert "clients" in full.json()["detail"]
    assert client.post("/undo").status_code == 410
    assert client.post("/undo", headers={"X-Lease-Token": token}).status_code == 422
    assert client.post("/release", headers={"X-Lease-Token": token}).json() == {"released": True}
    assert client.post("/undo", headers={"X-Lease-Token": token}).status_code == 410
    assert client.post("/claim").status_code == 200


def test_silent_and_idle_clients_lose_their_lease(make_service, monkeypatch):
    from vista3d.server.wires.nninteractive import leases as module

    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    leases = module.Leases(2, idle=100.0)
    silent, idle = leases.claim(), leases.claim()
    now[0] = module.LIVENESS / 2
    leases.get(idle.token, active=False)
    now[0] = module.LIVENESS + 1
    with pytest.raises(module.LeaseGoneError):
        leases.get(silent.token, active=True)
    assert leases.remaining(leases.get(idle.token, active=False)) == 39.0
    now[0] = 101.0
    with pytest.raises(module.LeaseGoneError):
        leases.get(idle.token, active=False)


@pytest.fixture
def leased(client):
    """Headers of a client in this process."""
    token = client.post("/claim").json()["lease_token"]
    yield {"X-Lease-Token": token}
    client.post("/release", headers={"X-Lease-Token": token})


@pytest.mark.parametrize(
    ("meta", "array"),
    [
        ("[]", np.zeros((1, 4, 4, 4), np.int16)),
        ("nothing", np.zeros((1, 4, 4, 4), np.int16)),
        ('{"image_properties": 3}', np.zeros((1, 4, 4, 4), np.int16)),
        ('{"image_properties": {"spacing": [1, 0, 1]}}', np.zeros((1, 4, 4, 4), np.int16)),
        ('{"image_properties": {"spacing": ["x"]}}', np.zeros((1, 4, 4, 4), np.int16)),
        ('{"image_properties": {"affine": [[1]]}}', np.zeros((1, 4, 4, 4), np.int16)),
        ("{}", np.zeros((2, 4, 4, 4), np.int16)),
        ("{}", np.zeros((4, 4, 4), np.int16)),
        ("{}", np.zeros((1, 0, 4, 4), np.int16)),
    ],
)
def test_impossible_images_are_refused(client, leased, meta, array):
    answer = client.post("/set_image", content=pack(array), headers={**leased, "X-Meta": meta})
    assert answer.status_code == 422, answer.text


def test_what_comes_before_an_image_or_does_not_fit_it_is_refused(client, leased):
    point = {"coordinates": [1, 1, 1], "include_interaction": True}
    answer = client.post("/add_point_interaction", json=point, headers=leased)
    assert (answer.status_code, answer.json()["detail"]) == (422, "set_image comes first")
    image = pack(SCAN.array[None])
    client.post("/set_image", content=image, headers=leased).raise_for_status()
    for path, body in (
        ("/add_point_interaction", {**point, "coordinates": [24, 1, 1]}),
        ("/add_point_interaction", {**point, "coordinates": [1, 1]}),
        ("/add_point_interaction", {**point, "coordinates": [1, 1, None]}),
        ("/set_target_buffer", {"shape": [99999, 99999, 99999], "dtype": "uint8"}),
        ("/set_target_buffer", {"shape": list(SHAPE), "dtype": "object"}),
    ):
        assert client.post(path, json=body, headers=leased).status_code == 422, path
    wrong = pack(np.zeros((3, 3, 3), np.uint8))
    answer = client.post("/add_initial_seg_interaction", content=wrong, headers=leased)
    assert answer.status_code == 422
    assert client.post("/undo", headers=leased).headers["x-meta"] == (
        json.dumps({"ran_prediction": False, "bbox": None}, separators=(",", ":"))
    )


def test_an_empty_mask_is_no_bomb():
    """It packs a thousandfold; how large it may be is known from the image."""
    mask = np.zeros((512, 512, 512), bool)
    packed = pack(mask)
    assert len(packed) * 1000 < mask.size
    assert unpack(memoryview(packed), mask.size).shape == mask.shape
    with pytest.raises(TooLargeError):
        unpack(memoryview(packed), mask.size - 1)


def test_an_image_that_comes_after_the_lease_ended_is_deleted(service, study):
    from vista3d.server.wires.nninteractive.leases import LeaseGoneError, Leases
    from vista3d.server.wires.nninteractive.scene import Scene

    class Kept(Scene):
        def close(self):
            service.delete_session(self.session)

    leases = Leases(1, 100)
    lease = leases.claim()
    before = service.storage.sessions(study)
    scene = Kept(service, study, None)
    leases.release(lease.token)
    with pytest.raises(LeaseGoneError):
        lease.put(scene)
    assert service.storage.sessions(study) == before


@pytest.mark.parametrize("limits", [{"memory": 1000}, {"objects": 0}])
def test_an_image_that_gets_no_session_is_not_kept(make_service, limits):
    service = make_service(**limits)
    client = wired(service)
    headers = {"X-Lease-Token": client.post("/claim").json()["lease_token"]}
    answer = client.post("/set_image", content=pack(SCAN.array[None]), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["detail"] == answer.json()["message"]
    assert service.studies.list() == []
    assert service.storage.sessions() == []


def test_a_class_gives_clicks_a_name_and_must_exist(make_service):
    service = make_service()
    with pytest.raises(StartError, match="livr"):
        wired(service, Options(object_class="livr"))
    client = wired(service, Options(object_class="liver"))
    headers = {"X-Lease-Token": client.post("/claim").json()["lease_token"]}
    image = pack(SCAN.array[None])
    client.post("/set_image", content=image, headers=headers).raise_for_status()
    (row,) = service.storage.sessions()
    with service.sessions.lease(row.id) as held:
        assert [o.name for o in held.view.objects] == ["liver"]


@pytest.mark.parametrize("axes", ["SPL", "RAS", "LPI"])
def test_axes_point_where_the_operator_says(axes):
    affine = affine_of({"spacing": [1, 2, 3]}, axes)
    for column, (letter, size) in enumerate(zip(axes, (1, 2, 3), strict=True)):
        row = "RAS".find(letter) if letter in "RAS" else "LPI".find(letter)
        assert affine[row, column] == (size if letter in "RAS" else -size)
    given = {"affine": AFFINE.tolist(), "spacing": [9, 9, 9]}
    assert np.array_equal(affine_of(given, axes), AFFINE)


def test_negative_spacings_are_the_order_of_napari_s_reader():
    """Measured with napari-nifti 0.0.20: arrays SAR, whatever the operator says of the others."""
    affine = affine_of({"spacing": [-5, -2, -1]}, "SPL")
    assert np.array_equal(affine, affine_of({"spacing": [5, 2, 1]}, "SAR"))
    with pytest.raises(UsageError, match="spacing"):
        affine_of({"spacing": [-5, 2, 1]}, "SPL")


@pytest.mark.parametrize("axes", ["", "RA", "RRS", "XYZ", "RASS", "ras"])
def test_other_axes_do_not_start(axes):
    with pytest.raises(StartError, match="axes"):
        Options(axes=axes)


def test_the_shipped_model_from_end_to_end(real_client):
    headers = {"X-Lease-Token": real_client.post("/claim").json()["lease_token"]}
    meta = {"image_properties": {"affine": AFFINE.tolist()}}
    image = pack(body_array()[None])
    answer = real_client.post(
        "/set_image", content=image, headers={**headers, "X-Meta": json.dumps(meta)}
    )
    assert answer.json() == {"original_image_shape": [1, 48, 44, 32]}
    point = {"coordinates": [24, 22, 16], "include_interaction": True}
    answer = real_client.post("/add_point_interaction", json=point, headers=headers)
    box = json.loads(answer.headers["x-meta"])["bbox"]
    values = unpack(memoryview(answer.content), 48 * 44 * 32)
    (i, _), (j, _), (k, _) = box
    assert values[24 - i, 22 - j, 16 - k] == 1
    inside = body_array()[tuple(slice(*part) for part in box)][values == 1]
    assert (inside == 110).mean() > 0.5  # the ball that was clicked, not the fat around it


# Containers.


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float32", "float64"])
def test_containers_are_the_client_s(dtype):
    from nnInteractive.inference.remote import serialization

    array = (np.arange(2 * 5 * 7).reshape(2, 5, 7) % 3).astype(dtype)
    assert np.array_equal(serialization.unpack_array(pack(array)), array)
    ours = unpack(memoryview(serialization.pack_array(array)), array.size, 200)
    assert ours.dtype == array.dtype
    assert np.array_equal(ours, array)


def container(shape, chunks, dtype=b"uint8", magic=b"NNIA", version=1, codec=1) -> bytes:
    head = struct.pack("<4sBBBB", magic, version, codec, len(shape), len(dtype)) + dtype
    head += struct.pack(f"<{len(shape)}q", *shape) + struct.pack("<I", len(chunks))
    return head + b"".join(struct.pack("<QQ", u, c) + data for u, c, data in chunks)


def frame(size: int) -> bytes:
    import blosc2

    return blosc2.compress2(bytes(size), typesize=1)


def lies() -> Iterator[tuple[str, bytes]]:
    """What a container can lie about."""
    good = frame(8)
    n = len(good)
    whole = container((2, 2, 2), [(8, n, good)])
    yield "empty head", b"NNIA"
    yield "magic", container((2, 2, 2), [(8, n, good)], magic=b"NNIB")
    yield "version", container((2, 2, 2), [(8, n, good)], version=2)
    yield "codec", container((2, 2, 2), [(8, n, good)], codec=9)
    yield "object", container((2, 2, 2), [(8, n, good)], dtype=b"object")
    yield "structured", container((2, 2, 2), [(8, n, good)], dtype=b"u1,u1")
    yield "no dimension", container((), [(8, n, good)])
    yield "five dimensions", container((2, 2, 2, 1, 1), [(8, n, good)])
    yield "negative", container((-2, -2, 2), [(8, n, good)])
    yield "larger shape", container((2, 2, 3), [(8, n, good)])
    yield "larger chunk", container((2, 2, 4), [(16, n, good)])
    yield "huge product", container((2**31, 2**31, 4), [(8, n, good)])
    yield "bomb", container((512, 512, 512), [(2**27, len(frame(2**27)), frame(2**27))])
    yield "huge count", whole[: -n - 20] + struct.pack("<I", 2**32 - 1) + whole[-n - 16 :]
    yield "packed beyond the end", container((2, 2, 2), [(8, 2**40, good)])
    yield "unpacked beyond a chunk", container((2, 2, 2), [(2**60, n, good)])
    yield "cut", whole[:-4]
    yield "no frame", container((2, 2, 2), [(8, n, bytes(n))])
    yield "damaged", container((2, 2, 2), [(8, n, good[:8] + b"\xff" * (n - 8))])


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in lies()])
def test_lying_containers_are_refused_before_anything_is_allocated(data, monkeypatch):
    allocated = []
    real = np.empty
    monkeypatch.setattr(np, "empty", lambda *a, **k: (allocated.append(a), real(*a, **k))[1])
    with pytest.raises((InputError, TooLargeError)):
        unpack(memoryview(data), Limits().voxels, Limits().ratio)
    assert all(np.prod(shape) <= 16 for shape, *_ in allocated)
