"""`vista3d serve` as a process: refusals, the printed address, SIGKILL and what is there after."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import httpx
import numpy as np

from tests.server.conftest import labels, paint_cube, upload

SHAPE = (48, 44, 32)
PROGRAM = "from vista3d.cli.main import main; main()"


def start(storage, *options, **extra):
    """Start the command; returns the process and the address it printed."""
    command = [sys.executable, "-c", PROGRAM, "serve", "--storage", str(storage), "--port", "0",
               "--precision", "fp32", *options]  # fmt: skip
    env = {**os.environ, **extra}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                               text=True)  # fmt: skip
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    assert found, line + process.stderr.read()
    return process, found[0]


def end(process):
    process.kill()
    process.communicate(timeout=30)


def test_refuses_the_network_without_a_token(tmp_path):
    command = [sys.executable, "-c", PROGRAM, "serve", "--host", "0.0.0.0", "--storage",
               str(tmp_path)]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name != "VISTA3D_TOKEN"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 2
    assert "give --token" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_printed_address_opens_the_page(tmp_path):
    process, address = start(tmp_path, VISTA3D_TOKEN="a-token-of-some-length")
    try:
        with httpx.Client(follow_redirects=True, timeout=30) as client:
            page = client.get(address)
            assert page.status_code == 200
            assert "token" not in str(page.url)
            root = address.split("?")[0]
            assert client.get(f"{root}api/v1/info").json()["token_required"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    finally:
        end(process)


def test_nothing_saved_is_lost_by_sigkill(tmp_path, scan_bytes):
    process, address = start(tmp_path)
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            study = upload(client, scan_bytes)
            key = client.post("/api/v1/sessions", json={"study": study["id"]}).json()["id"]
            session = f"/api/v1/sessions/{key}"
            for n in range(3):
                paint_cube(client, session, corner=(4 + 8 * n,) * 3, name=f"cube {n}")
            before, state = labels(client, session, SHAPE), client.get(session).json()
            assert state["saved"]
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    finally:
        end(process)
    process, address = start(tmp_path)
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            assert [s["id"] for s in client.get("/api/v1/sessions").json()] == [key]
            np.testing.assert_array_equal(labels(client, session, SHAPE), before)
            again = client.get(session).json()
            for field in ("objects", "undo", "redo", "active"):
                assert again[field] == state[field]
            undone = client.post(f"{session}/undo").json()
            assert undone["changed"] is not None
    finally:
        end(process)
