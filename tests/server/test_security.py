"""Who is let in (ecosystem F): tokens, hosts, origins, ids, sizes, headers."""

from __future__ import annotations

import json
import logging
import socket
from dataclasses import replace

import pytest

from tests.server.conftest import begin, client_of, nifti_bytes, upload
from vista3d.server.errors import StartError
from vista3d.server.security import COOKIE
from vista3d.server.service import Service
from vista3d.server.settings import Settings

TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def token_service(model, tmp_path_factory):
    """A server with a token."""
    service = Service(model, Settings(tmp_path_factory.mktemp("token") / "storage", token=TOKEN))
    yield service
    service.close()


@pytest.fixture
def guarded(token_service):
    """A client that does not know the token yet."""
    return client_of(token_service)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
@pytest.mark.parametrize("token", [None, "short"])
def test_no_start_beyond_this_machine_without_a_good_token(tmp_path, host, token):
    with pytest.raises(StartError, match="token"):
        Settings(tmp_path, host, token)


def test_a_token_opens_the_network(tmp_path):
    assert Settings(tmp_path, "0.0.0.0", TOKEN).hosts is None


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/info", "/api/v1/studies",
                                  "/api/v1/openapi.json", "/assets/x.js", "/nothing"])  # fmt: skip
def test_without_a_token_nothing_is_told(guarded, path):
    answer = guarded.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()) == {"error", "message", "request_id"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token(guarded, path):
    assert guarded.get(path).status_code in (200, 503)


@pytest.mark.parametrize(
    "headers",
    [
        bearer("wrong"), bearer(""), bearer(TOKEN[:-1]), bearer(TOKEN + "x"), bearer(TOKEN.upper()),
        {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"{COOKIE}=wrong"}, {"Cookie": f"other={TOKEN}"},
        {"Authorization": b"Bearer \xff\xfe"},
    ],
)  # fmt: skip
def test_wrong_tokens(guarded, headers):
    assert guarded.get("/api/v1/info", headers=headers).status_code == 401
    assert guarded.post("/api/v1/studies", headers=headers).status_code == 401


def test_the_right_token(guarded):
    assert guarded.get("/api/v1/info", headers=bearer(TOKEN)).status_code == 200
    assert guarded.get("/api/v1/info", params={"token": TOKEN}).status_code == 401


def test_the_page_turns_the_token_into_a_cookie(guarded):
    wrong = guarded.get("/", params={"token": "wrong"}, follow_redirects=False)
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    answer = guarded.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded.get("/api/v1/info").status_code == 200


def test_a_browser_is_asked_for_the_token(guarded):
    browser = {"Accept": "text/html,*/*", "Origin": "http://127.0.0.1"}
    asked = guarded.get("/", headers=browser)
    assert (asked.status_code, asked.headers["www-authenticate"]) == (401, "Bearer")
    assert asked.headers["referrer-policy"] == "same-origin"  # else browsers hide the Origin
    assert '<form method="post">' in asked.text
    assert 'role="alert"' not in asked.text
    for form in ({"token": "wrong"}, {}, {"token": TOKEN + "é"}):
        wrong = guarded.post("/", data=form, headers=browser)
        assert wrong.status_code == 401
        assert 'role="alert"' in wrong.text
        assert "set-cookie" not in wrong.headers
    foreign = {**browser, "Origin": "https://evil.example"}
    assert guarded.post("/", data={"token": TOKEN}, headers=foreign).status_code == 403
    right = guarded.post("/", data={"token": TOKEN}, headers=browser, follow_redirects=False)
    assert (right.status_code, right.headers["location"]) == (303, "/")
    assert "httponly" in right.headers["set-cookie"].lower()
    assert guarded.get("/", headers=browser).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example",
                                  "", "[::ffff", "localhost@evil.example"])  # fmt: skip
def test_rebound_names_are_refused(client, host):
    answer = client.get("/api/v1/studies", headers={"Host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine_are_fine(client, host):
    assert client.get("/api/v1/studies", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://127.0.0.1.evil.example"},
    ],
)  # fmt: skip
def test_pages_of_others_change_nothing(client, headers):
    answer = client.post("/api/v1/sessions", json={"study": "x"}, headers=headers)
    assert answer.status_code == 403
    assert client.delete("/api/v1/sessions/x", headers=headers).status_code == 403


def test_our_own_page_may(client, study):
    headers = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    answer = client.post("/api/v1/sessions", json={"study": study["id"]}, headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/info", "/nothing", "/api/v1/studies/x"])
def test_every_answer_is_hardened(client, path):
    headers = client.get(path, headers={"Origin": "https://evil.example"}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control-")]
    assert len(headers["x-request-id"]) == 16


BAD_IDS = ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a%00b", "a b", "x" * 65, "%2Fetc", "~", "a.b"]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("path", ["/api/v1/studies/{}", "/api/v1/studies/{}/image",
                                  "/api/v1/sessions/{}", "/api/v1/sessions/{}/labels",
                                  "/api/v1/sessions/{}/export", "/api/v1/jobs/{}"])  # fmt: skip
def test_ids_that_are_paths_reach_nothing(client, path, bad):
    answer = client.get(path.format(bad))
    assert answer.status_code in (404, 405, 422)
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/settings.py", "/..%2fapp.py",
                                  "/assets/../../app.py", "//etc/passwd"])  # fmt: skip
def test_static_files_stay_in_their_folder(client, path):
    assert client.get(path).status_code == 404


def test_foreign_ids_say_no_more_than_unknown_ones(client, session):
    key = session.rsplit("/", 1)[1]
    for path in ("studies", "jobs"):
        assert client.get(f"/api/v1/{path}/{key}").status_code == 404
    assert client.post("/api/v1/sessions", json={"study": key}).status_code == 404
    assert client.post("/api/v1/sessions", json={"study": "../../x"}).status_code == 404
    unknown = client.post(f"/api/v1/sessions/{key[::-1]}/undo")
    assert unknown.status_code == 404


def test_urls_are_never_fetched(client, monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("the server opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for url in ("http://169.254.169.254/latest/meta-data", "file:///etc/passwd"):
        assert client.post("/api/v1/sessions", json={"study": url}).status_code == 404
        upload(client, url.encode(), url, expect=415)
        form = {"files": url}
        assert client.post("/api/v1/studies", data=form).status_code in (415, 422)


def test_scripts_in_names_stay_text(client, session):
    name = "</script><img src=x onerror=alert(1)>"
    state = client.post(f"{session}/objects", json={"name": name}).json()["state"]
    assert state["objects"][0]["name"] == name
    answer = client.get(session)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_is_counted_not_believed(client, session):
    huge = (b" " * 2**16 for _ in range(64))  # chunked: no length is claimed
    answer = client.post(f"{session}/clicks", content=huge,
                         headers={"Content-Type": "application/json"})  # fmt: skip
    assert answer.status_code == 413
    assert answer.json()["error"] == "TooLargeError"


def test_a_claimed_length_is_enough_to_refuse(client):
    headers = {"Content-Length": str(2**50), "Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/v1/studies", content=b"", headers=headers)
    assert answer.status_code == 413


def test_uploads_are_bounded(make_service, scan_bytes):
    client = client_of(make_service(upload_bytes=2000))
    upload(client, scan_bytes, expect=413)


def test_uploads_leave_room_on_the_disk(make_service, scan_bytes, monkeypatch):
    service = make_service()
    client = client_of(service)
    session = begin(client, upload(client, scan_bytes))
    state = client.post(f"{session}/objects", json={}).json()["state"]
    monkeypatch.setattr(service, "limits", replace(service.limits, free_disk=2**60))
    assert upload(client, scan_bytes, expect=507)["error"] == "StorageFullError"
    for send, path in ((client.post, "labels"), (client.put, f"objects/{state['active']}/mask")):
        answer = send(f"{session}/{path}", content=scan_bytes)
        assert (answer.status_code, answer.json()["error"]) == (507, "StorageFullError")


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"null", b'{"position": [NaN, 0, 0], "space": "voxel"}',
        b'{"position": [1e999, 0, 0], "space": "voxel"}', b"[" * 100_000,
        b'{"position": [1, 2], "space": "voxel"}', b'{"position": [1, 2, 3], "space": "moon"}',
        b'{"position": [1, 2, 3], "space": "voxel", "object": ' + b"9" * 5000 + b"}",
        b'{"position": [1, 2, 3], "space": "voxel", "device": "cuda"}', b"\xff\xfe",
    ],
    ids=str,
)  # fmt: skip
def test_bad_bodies_are_explained(client, session, body):
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"{session}/clicks", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["message"]


def test_logs_hold_no_names_and_no_tokens(guarded, caplog):
    caplog.set_level(logging.DEBUG, logger="vista3d")
    files = [("files", ("Doe^Jane.nii.gz", b"no image"))]
    guarded.post("/api/v1/studies", files=files, headers=bearer(TOKEN))
    guarded.get("/", params={"token": TOKEN}, follow_redirects=False)
    guarded.get("/api/v1/studies/Doe-Jane", headers=bearer(TOKEN))
    text = caplog.text
    assert "POST /api/v1/studies 415" in text
    assert "Doe" not in text
    assert TOKEN not in text


def test_bugs_are_not_told_to_strangers(client, session, service, monkeypatch):
    def bug(*args, **kwargs):
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr(service.studies, "list", bug)
    answer = client.get("/api/v1/studies")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert json.loads(answer.text)["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_storage_is_private(service):
    root = service.storage.root
    for path in (root, root / "studies", root / "sessions", root / "incoming"):
        assert path.stat().st_mode & 0o077 == 0
    assert (root / "index.sqlite").stat().st_mode & 0o077 == 0


def test_deep_compression_of_the_wire_is_bounded(client, session):
    """A brush stroke is inflated up to its box and no further."""
    import gzip

    client.post(f"{session}/objects", json={})
    bomb = gzip.compress(bytes(20 * 2**20))
    answer = client.post(
        f"{session}/brush", params={"object": 1, "box": "0,2,0,2,0,2"}, content=bomb
    )
    assert answer.status_code == 422
    other = client.put(f"{session}/objects/1/mask", content=nifti_bytes_of_zeros())
    assert other.status_code == 422


def nifti_bytes_of_zeros() -> bytes:
    import numpy as np

    return nifti_bytes(np.zeros((300, 200, 100), np.uint8))
