"""Every path of every wire: token, origin, host; none is forgotten."""

from __future__ import annotations

import re

import pytest

from tests.server.wires.conftest import TOKEN, wired
from vista3d.server import wires

OPEN = {"/auth/", "/auth/token", "/v1/health/live", "/v1/health/ready"}


def endpoints(service) -> list[tuple[str, str]]:
    """Method and path of all routes, parameters filled in."""
    return [
        (method, re.sub(r"{\w+}", "x", route.path))
        for wire in wires.build(service)
        for route in wire.router.routes
        for method in route.methods
    ]


@pytest.fixture
def guarded(make_service):
    """A client without the token, and all endpoints."""
    service = make_service(token=TOKEN)
    return wired(service), endpoints(service)


def test_no_path_answers_without_the_token(guarded):
    client, paths = guarded
    assert len(paths) > 35
    assert {path for _, path in paths} >= OPEN
    for method, path in paths:
        if path not in OPEN:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-Lease-Token": TOKEN}):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path)


def test_no_other_site_s_page_changes_anything(guarded):
    client, paths = guarded
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.example"}
    for method, path in paths:
        if method not in ("GET", "HEAD"):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 403, (method, path)


def test_no_other_host_name_is_answered(client, service):
    for method, path in endpoints(service):
        answer = client.request(method, path, headers={"Host": "evil.example"})
        assert answer.status_code == 403, (method, path)


def test_no_page_of_another_site_may_read(client, study):
    for path in ("/info/", f"/datastore/image?image={study}", "/capabilities"):
        answer = client.get(path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_bodies_that_nobody_waits_for_stay_small(client):
    """Only uploads may be large; everything else is JSON."""
    large = b" " * (2**20 + 1)
    for path in ("/claim", "/undo", "/add_point_interaction", "/v1/vista3d/inference",
                 "/auth/token", "/activelearning/first"):  # fmt: skip
        assert client.post(path, content=large).status_code == 413, path


def test_names_of_images_are_short(client, scan_bytes):
    answer = client.put(
        "/datastore/", params={"image": "a" * 201}, files={"file": ("ct.nii.gz", scan_bytes)}
    )
    assert answer.status_code == 422
