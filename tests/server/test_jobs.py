"""Jobs: their states, and the automatic run as a client follows it."""

from __future__ import annotations

import json
import threading

import pytest

from tests.server.conftest import begin, client_of, labels, paint_cube, refuse, upload
from vista3d.errors import CancelledError, InputError
from vista3d.inference import Progress
from vista3d.server.errors import BusyError, NotFoundError
from vista3d.server.jobs import KEPT, Jobs
from vista3d.server.schemas import EditOut

SHAPE = (48, 44, 32)


@pytest.fixture
def jobs():
    jobs = Jobs(2)
    yield jobs
    jobs.close()


def test_progress_never_falls(jobs):
    seen = []

    def work(job):
        for step, fraction in (("preparing", 1), ("segmenting", 0.5), ("preparing", 0.2)):
            job.tell(Progress(step, fraction))
            seen.append(job.view.progress)
        return "result"

    job = jobs.start("s", "automatic", work)
    assert job.finished.wait(20)
    assert seen == sorted(seen)
    assert (job.view.state, job.view.progress, job.view.result) == ("done", 1, "result")


@pytest.mark.parametrize(
    ("error", "state", "word"),
    [
        (CancelledError("stopped"), "cancelled", "stopped"),
        (InputError("too small"), "failed", "too small"),
        (ZeroDivisionError("secret path"), "failed", "the server's log"),
    ],
)
def test_ends_are_told_apart(jobs, error, state, word):
    def work(job):
        raise error

    job = jobs.start("s", "automatic", work)
    assert job.finished.wait(20)
    assert job.view.state == state
    assert word in job.view.message
    assert "secret" not in job.view.message


def test_only_so_many_at_once(jobs):
    opened = threading.Event()
    for _ in range(2):
        jobs.start("s", "automatic", lambda job: opened.wait(20))
    with pytest.raises(BusyError):
        jobs.start("s", "automatic", lambda job: None)
    opened.set()


def test_old_ones_are_forgotten(jobs):
    first = jobs.start("s", "automatic", lambda job: None)
    for _ in range(KEPT + 1):
        assert jobs.start("s", "automatic", lambda job: None).finished.wait(20)
    with pytest.raises(NotFoundError):
        jobs.find(first.view.id)


def follow(client, job: dict) -> list[dict]:
    """All events of a job."""
    with client.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines]


def test_an_automatic_run_is_followed_to_its_result(client, session, model):
    classes = [1, "spleen"]
    answer = client.post(f"{session}/automatic", json={"classes": classes})
    assert answer.status_code == 202
    events = follow(client, answer.json())
    assert events[-1]["state"] == "done"
    assert [e["progress"] for e in events] == sorted(e["progress"] for e in events)
    state = events[-1]["result"]["state"]
    import numpy as np

    from tests.server.conftest import AFFINE, body_array
    from vista3d.volume import Volume

    mine = model.session(Volume.from_array(body_array(), AFFINE))
    mine.run_automatic(classes)
    np.testing.assert_array_equal(labels(client, session, SHAPE), mine.result()[0])
    assert [o["class_id"] for o in state["objects"]] == [o.class_id for o in mine.objects]
    again = client.get(f"/api/v1/jobs/{answer.json()['id']}").json()
    assert again["state"] == "done"


def test_the_jobs_of_a_session_are_listed(client, session, study):
    other = begin(client, study)
    begun = client.post(f"{session}/automatic", json={"classes": [1]}).json()
    follow(client, begun)
    (listed,) = client.get(f"{session}/jobs").json()
    assert (listed["id"], listed["state"]) == (begun["id"], "done")
    assert listed["result"] is None  # that is asked for by name
    assert client.get(f"{other}/jobs").json() == []
    assert client.get("/api/v1/sessions/nowhere/jobs").status_code == 404


def test_a_result_needs_no_session_and_holds_no_mask(make_service, scan_bytes, monkeypatch):
    """A busy server has none to lend: a client would run it all again."""
    service = make_service()
    client = client_of(service)
    session = begin(client, upload(client, scan_bytes))
    begun = client.post(f"{session}/automatic", json={"classes": ["liver"]}).json()
    job = service.jobs.find(begun["id"])
    assert job.finished.wait(60)
    assert isinstance(job.view.result, EditOut)
    monkeypatch.setattr(service.sessions, "lease", refuse)
    found = client.get(f"/api/v1/jobs/{begun['id']}").json()
    assert found["result"]["state"]["study"]
    assert follow(client, begun)[-1] == found


def test_unknown_classes_are_refused_before_anything_begins(client, session):
    answer = client.post(f"{session}/automatic", json={"classes": ["lever"]})
    assert answer.status_code == 422
    assert "did you mean liver" in answer.json()["message"]


def test_edits_wait_for_no_run_and_say_so(make_service, scan_bytes):
    """While a run of the session is under way, reads go on, edits are refused, and a cancelled run
    changes nothing."""
    service = make_service()
    client = client_of(service)
    study = upload(client, scan_bytes)
    key = client.post("/api/v1/sessions", json={"study": study["id"]}).json()["id"]
    session = f"/api/v1/sessions/{key}"
    paint_cube(client, session)
    before = labels(client, session, SHAPE)
    entered, opened = threading.Event(), threading.Event()

    def hold(progress, cancel):
        entered.set()
        opened.wait(20)

    holder = threading.Thread(target=lambda: service.lane.run(hold, owner="x"))
    holder.start()
    assert entered.wait(20)
    job = client.post(f"{session}/automatic", json={"classes": "everything"}).json()
    assert job["state"] == "queued"
    assert [(j["id"], j["state"]) for j in client.get(f"{session}/jobs").json()] == [
        (job["id"], "queued")
    ]
    assert client.post(f"{session}/undo").status_code == 409
    assert client.delete(session).status_code == 409
    assert client.post(f"{session}/automatic", json={"classes": [1]}).status_code == 409
    assert client.get(session).status_code == 200
    client.delete(f"/api/v1/jobs/{job['id']}")
    assert follow(client, job)[-1]["state"] == "cancelled"
    opened.set()
    holder.join()
    assert (labels(client, session, SHAPE) == before).all()
    assert client.post(f"{session}/undo").status_code == 200
