"""Leases, idle sessions, memory, full disks."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.dicom import write_series
from tests.server.conftest import (
    AFFINE,
    begin,
    body_array,
    client_of,
    labels,
    nifti_bytes,
    paint_cube,
    refuse,
    upload,
)
from vista3d.errors import MemoryBudgetError, UsageError
from vista3d.inference import InteractiveSession
from vista3d.server import sessions as module
from vista3d.server.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    StartError,
    TooLargeError,
    TooManyError,
)
from vista3d.server.settings import MIB
from vista3d.volume import Volume

SHAPE = (48, 44, 32)


def study_of(service, tmp_path, array=None) -> str:
    """Take a study in without HTTP, as wires do."""
    from vista3d.server.upload import Received

    path = tmp_path / "incoming"
    path.write_bytes(nifti_bytes(body_array() if array is None else array))
    return service.studies.add([Received("files", "ct.nii.gz", path)]).id


def test_idle_sessions_leave_the_memory_and_come_back(make_service, scan_bytes):
    service = make_service(idle_seconds=0.2)
    client = client_of(service)
    study = upload(client, scan_bytes)
    key = client.post("/api/v1/sessions", json={"study": study["id"]}).json()["id"]
    session = f"/api/v1/sessions/{key}"
    paint_cube(client, session, name="kept")
    before, state = labels(client, session, SHAPE), client.get(session).json()
    deadline = time.monotonic() + 20
    while service.sessions.open and time.monotonic() < deadline:
        time.sleep(0.05)
    assert service.sessions.open == 0
    (listed,) = client.get("/api/v1/sessions").json()
    assert service.sessions.open == 0, "a list opens nothing"
    np.testing.assert_array_equal(labels(client, session, SHAPE), before)
    after = client.get(session).json()
    assert after["objects"] == state["objects"]
    assert after["revision"] == listed["revision"] > state["revision"]
    assert client.post(f"{session}/undo").json()["changed"] is not None


def test_the_least_recently_used_makes_room(make_service, tmp_path):
    service = make_service(session_cache=MIB)
    study = study_of(service, tmp_path)
    first = service.sessions.create(study)
    service.sessions.memory = int(2.5 * service.sessions.bytes)
    second = service.sessions.create(study)
    with service.sessions.lease(first):
        pass
    service.sessions.create(study)
    assert service.sessions.open == 2
    assert second not in service.sessions._held
    with service.sessions.lease(second) as held:
        assert held.id == second


def test_sessions_of_a_study_share_its_scan(make_service, tmp_path):
    service = make_service()
    study = study_of(service, tmp_path)
    keys = [service.sessions.create(study) for _ in range(2)]
    with service.sessions.lease(keys[0]) as one, service.sessions.lease(keys[1]) as two:
        assert one.session.volume is two.session.volume
        assert service.studies.open(study) is one.session.volume


@pytest.mark.parametrize("folder", [False, True])
def test_a_scan_that_was_replaced_is_read_anew(make_service, tmp_path, folder):
    """Also by a file of the same size and an earlier time, while somebody holds the old one."""
    path = tmp_path / "scan" if folder else tmp_path / "ct.nii.gz"
    new = body_array()[::-1].copy()
    new[5:20, 5:20, 5:20] = 300

    def put(array, time):
        if folder:
            shutil.rmtree(path, ignore_errors=True)
            write_series(path, Volume(array, AFFINE))
        else:
            path.write_bytes(nifti_bytes(array))
        for file in path.rglob("*") if folder else [path]:
            os.utime(file, (time, time))

    service = make_service(scans=lambda: [("ct", path)])
    put(body_array(), 2e9)
    (study,) = service.studies.list()
    old = service.studies.open(study.id)
    assert service.studies.open(study.id) is old
    put(new, 1e9)
    np.testing.assert_array_equal(service.studies.open(study.id).array, new)


def test_a_study_that_is_deleted_while_a_session_begins(make_service, tmp_path, monkeypatch):
    service = make_service()
    study = study_of(service, tmp_path)

    def begin_late(volume, **options):
        service.studies.remove(study)
        return service.model.session(volume, **options)

    late = SimpleNamespace(session=begin_late, meta=service.model.meta)
    monkeypatch.setattr(service.sessions, "_model", late)
    with pytest.raises(NotFoundError, match="was deleted"):
        service.sessions.create(study)
    assert list((service.storage.root / "sessions").iterdir()) == []
    assert service.sessions.open == 0


def test_a_study_on_which_a_session_has_just_begun_is_kept(make_service, tmp_path, monkeypatch):
    service = make_service()
    study = study_of(service, tmp_path)
    monkeypatch.setattr(service.storage, "sessions", lambda *_: [])  # as it was a moment ago
    key = service.sessions.create(study)
    with pytest.raises(ConflictError, match="has sessions"):
        service.studies.remove(study)
    with service.sessions.lease(key) as held:
        assert service.studies.open(study) is held.session.volume


def test_no_room_while_all_are_in_use(make_service, tmp_path):
    service = make_service(session_cache=MIB)
    study = study_of(service, tmp_path)
    first = service.sessions.create(study)
    service.sessions.memory = int(1.5 * service.sessions.bytes)
    with service.sessions.lease(first), pytest.raises(BusyError) as full:
        service.sessions.create(study)
    assert full.value.retry_after > 0
    service.sessions.create(study)


def test_a_session_that_fits_never_is_refused_for_good(make_service, tmp_path):
    service = make_service(memory=MIB)
    with pytest.raises(TooLargeError, match="GiB"):
        service.sessions.create(study_of(service, tmp_path))


def test_two_who_ask_get_the_same_session(make_service, tmp_path):
    service = make_service(idle_seconds=3600)
    key = service.sessions.create(study_of(service, tmp_path))
    service.sessions._put_away(service.sessions._held[key])
    found, barrier = [], threading.Barrier(4)

    def ask():
        barrier.wait()
        with service.sessions.lease(key) as held:
            found.append(held)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(held) for held in found}) == 1
    assert found[0].leases == 0


def test_edits_of_one_session_wait_in_a_short_queue(make_service, tmp_path):
    service = make_service(session_queue=1, busy_seconds=0.05)
    key = service.sessions.create(study_of(service, tmp_path))
    with service.sessions.lease(key) as held, held.alone(), pytest.raises(TooManyError) as many:
        service.edit(key, lambda s: s.undo())
    assert many.value.http_status == 429
    service.edit(key, lambda s: s.undo())


def test_work_that_fails_half_way_shows_what_it_did(make_service, tmp_path):
    service = make_service()
    key = service.sessions.create(study_of(service, tmp_path))

    def work(session):
        session.add_object("done")
        session.rename(99, "fails")

    with pytest.raises(UsageError, match="no object 99"):
        service.edit(key, work)
    with service.sessions.lease(key) as held:
        assert [thing.name for thing in held.view.objects] == ["done"]
        assert held.view.saved


def test_an_edit_that_is_done_is_answered(make_service, scan_bytes, monkeypatch):
    """Where the answer failed, clients that heed Retry-After made the edit a second time."""
    service = make_service()
    client = client_of(service)
    session = begin(client, upload(client, scan_bytes))
    edit = service.add_object

    def then_busy(*args):
        done = edit(*args)
        monkeypatch.setattr(service.sessions, "lease", refuse)
        return done

    monkeypatch.setattr(service, "add_object", then_busy)
    answer = client.post(f"{session}/objects", json={"name": "once"})
    assert answer.status_code == 200, answer.text
    assert [thing["name"] for thing in answer.json()["state"]["objects"]] == ["once"]


def test_a_deleted_session_is_gone_for_those_who_wait(make_service, tmp_path):
    service = make_service()
    key = service.sessions.create(study_of(service, tmp_path))
    with service.sessions.lease(key) as held:
        service.delete_session(key)
        with pytest.raises(NotFoundError), held.alone():
            pytest.fail("it was lent")
    with pytest.raises(NotFoundError), service.sessions.lease(key):
        pytest.fail("it was lent")
    assert not service.storage.session_file(key).exists()


def test_a_session_whose_scan_is_gone_can_be_deleted(make_service, tmp_path):
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(nifti_bytes(body_array()))
    service = make_service(scans=lambda: [("ct", path)] if path.exists() else [])
    (study,) = service.studies.list()
    key = service.sessions.create(study.id)
    path.unlink()
    assert service.sessions.put_away_idle(-1) == 1
    service.delete_session(key)
    assert not service.storage.session_file(key).exists()
    with pytest.raises(NotFoundError):
        service.delete_session(key)


def test_chores_are_done_though_one_fails(make_service, monkeypatch):
    from vista3d.server import service as module

    monkeypatch.setattr(module, "_SWEEP", 0.01)
    service, done = make_service(), threading.Event()
    service.chores += [lambda: 1 / 0, done.set]
    assert done.wait(10)


def test_a_full_disk_is_told_and_made_up_for(make_service, tmp_path, monkeypatch):
    service = make_service()
    key = service.sessions.create(study_of(service, tmp_path))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "durable_replace", full)
    edit = service.edit(key, lambda s: s.add_object("kept"))
    assert not edit.view.saved
    assert not service.sessions._put_away(service.sessions._held[key])
    assert service.storage.session(key).revision == 0
    monkeypatch.undo()
    assert service.edit(key, lambda s: s.undo()).view.saved


def test_noise_is_bounded(make_service, tmp_path):
    """Masks that do not compress cost the depth of undo first, then they are refused."""
    service = make_service(session_bytes=20_000)
    key = service.sessions.create(study_of(service, tmp_path))
    box = tuple(slice(0, n) for n in SHAPE)
    rng = np.random.default_rng(0)

    def paint_noise(times):
        for _ in range(times):
            number = service.add_object(key, None, None).view.active
            service.brush(key, number, box, rng.random(SHAPE) > 0.5)

    with service.sessions.lease(key) as held:
        with pytest.raises(TooLargeError, match="remove objects"):
            paint_noise(20)
        assert not held.session.history.past
        for thing in held.view.objects:
            service.edit(key, lambda s, n=thing.id: s.remove_object(n))
        paint_noise(1)


def test_objects_are_bounded(make_service, tmp_path):
    service = make_service(objects=2)
    key = service.sessions.create(study_of(service, tmp_path))
    for _ in range(2):
        service.add_object(key, None, None)
    with pytest.raises(TooLargeError):
        service.add_object(key, None, None)


def test_idle_sessions_make_room_for_an_automatic_run(make_service, tmp_path, monkeypatch):
    service = make_service()
    study = study_of(service, tmp_path)
    idle, busy = service.sessions.create(study), service.sessions.create(study)
    calls = []

    def run(session, classes, **_):
        calls.append(service.sessions.open)
        if len(calls) == 1:
            msg = "needs more"
            raise MemoryBudgetError(msg)
        session.add_object("found")

    monkeypatch.setattr(InteractiveSession, "run_automatic", run)
    job = service.automatic(busy, ["liver"])
    assert job.finished.wait(60)
    assert job.view.state == "done"
    assert calls == [2, 1]
    with service.sessions.lease(idle) as held:
        assert held.id == idle


def test_one_server_per_storage(make_service):
    make_service()
    with pytest.raises(StartError, match="another server"):
        make_service()
