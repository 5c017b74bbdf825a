"""`vista3d download` in its own process against a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.network.hub_stub import COMMIT, Hub, serve
from vista3d.network.published import PUBLISHED

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def hub() -> Iterator[Hub]:
    known = PUBLISHED["official"]
    stub = Hub(known.repository, known.file, CONTENT)
    server = serve(stub)
    yield stub
    server.shutdown()
    server.server_close()


class User:
    """Somebody at a terminal, with an empty machine."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.home = folder / "home"
        self.cache = folder / "hf" / "hub" / "models--nvidia--NV-Segment-CT"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("HF_")},
            "HF_HOME": str(folder / "hf"),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "VISTA3D_HOME": str(self.home),
            "NO_PROXY": "*",
        }

    @property
    def partial(self) -> Path:
        return self.cache / "blobs" / f"{SHA256}.incomplete"

    def starts(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "vista3d", *arguments],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def types(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.starts(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture
def user(tmp_path: Path, hub: Hub) -> User:
    return User(tmp_path, hub)


def test_download_is_checked_kept_and_found_again(user: User, hub: Hub):
    code, out, err = user.types("download", "official")
    assert code == 0, err
    path = Path(out.strip())
    assert path.is_relative_to(user.cache)  # HF_HOME
    assert path.read_bytes() == CONTENT
    assert err.count("NVIDIA Open Model License") == 2  # before and after
    assert f"sha256 {SHA256}" in err
    receipt = json.loads((user.home / "official.json").read_text())
    assert receipt["sha256"] == SHA256
    assert receipt["commit"] == COMMIT
    assert "NVIDIA Open Model License" in receipt["licence"]
    code, again, _ = user.types("download", "official")
    assert (code, again) == (0, out)
    assert len(hub.ranges()) == 1  # the second run transferred nothing
    assert all("resolve" in path or path == "/cdn" for _, path, _ in hub.asked)  # no telemetry
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from vista3d.network.weights import resolve as r;print(r('official'))",
        ],
        env={**user.environment, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == out


def test_a_broken_transfer_goes_on_in_the_next_process(user: User, hub: Hub):
    user.partial.parent.mkdir(parents=True)
    user.partial.write_bytes(CONTENT[:700_000])
    code, out, err = user.types("download", "official")
    assert code == 0, err
    assert hub.ranges() == ["bytes=700000-"]
    assert Path(out.strip()).read_bytes() == CONTENT


def test_a_dropped_connection_goes_on_in_the_same_process(user: User, hub: Hub):
    hub.content = CONTENT * 12  # the client writes 10 MiB at a time
    hub.stated = hashlib.sha256(hub.content).hexdigest()
    hub.drop_after = [11 * 2**20]
    code, out, err = user.types("download", "official")
    assert code == 0, err
    assert hub.ranges() == [None, f"bytes={10 * 2**20}-"]
    assert Path(out.strip()).read_bytes() == hub.content


def test_a_mirror_without_ranges_is_read_from_the_start(user: User, hub: Hub):
    hub.ignore_ranges = True
    user.partial.parent.mkdir(parents=True)
    user.partial.write_bytes(b"\0" * 1000)
    code, out, err = user.types("download", "official")
    assert code == 0, err
    assert Path(out.strip()).read_bytes() == CONTENT


def test_corrupted_content_is_refused_and_removed(user: User, hub: Hub):
    hub.content = CONTENT[:-1] + b"\0"
    code, out, err = user.types("download", "official")
    assert (code, out) == (6, "")
    assert f"the hub states {SHA256}: it was removed" in err
    assert not user.partial.exists()
    assert not list(user.cache.rglob("model.pt"))
    assert not (user.home / "official.json").exists()


def test_a_file_corrupted_in_the_cache_is_refused_and_fetched_anew(user: User, hub: Hub):
    _, out, _ = user.types("download", "official")
    path = Path(out.strip())
    path.resolve().write_bytes(b"rotten")
    code, _, err = user.types("download", "official")
    assert code == 6
    assert "it was removed, run it again" in err
    code, _, err = user.types("download", "official")
    assert code == 0, err
    assert path.read_bytes() == CONTENT


def test_a_file_without_sha256_is_refused(user: User, hub: Hub):
    hub.stated = None
    code, _, err = user.types("download", "official")
    assert code == 6
    assert "answers without commit, size and sha256" in err
    assert hub.ranges() == []


def test_no_network(user: User):
    code, out, err = user.types("download", "official", HF_ENDPOINT="http://127.0.0.1:1")
    assert (code, out) == (6, "")
    assert "nvidia/NV-Segment-CT/vista3d_pretrained_model/model.pt could not be fetched" in err
    assert "check the network" in err


def test_offline_mode_uses_an_earlier_download_if_it_is_unchanged(user: User, hub: Hub):
    code, _, err = user.types("download", "official", HF_HUB_OFFLINE="1")
    assert code == 6
    assert "HF_HUB_OFFLINE is set" in err
    assert hub.asked == []
    _, out, _ = user.types("download", "official")
    asked = len(hub.asked)
    code, again, err = user.types("download", "official", HF_HUB_OFFLINE="1")
    assert (code, again) == (0, out), err
    assert len(hub.asked) == asked
    Path(out.strip()).resolve().write_bytes(b"rotten")
    code, _, _ = user.types("download", "official", HF_HUB_OFFLINE="1")
    assert code == 6


def test_a_licence_not_accepted_says_where_to_accept_it(user: User, hub: Hub):
    hub.gated = True
    code, _, err = user.types("download", "official")
    assert code == 6
    assert "accept its licence at https://huggingface.co/nvidia/NV-Segment-CT" in err


def test_the_ct_mr_model_has_another_licence(user: User, hub: Hub):
    code, _, err = user.types("download", "official", "--ctmr")
    assert code == 6  # the stub has only the CT model
    assert "OneWay Non-Commercial" in err
    assert "RepositoryNotFoundError" in err
    assert hub.asked[0][1].startswith("/nvidia/NV-Segment-CTMR/")


def test_an_unknown_name_is_a_usage_error(user: User, hub: Hub):
    code, _, err = user.types("download", "unofficial")
    assert code == 2
    assert "one of official, official-ctmr" in err
    assert hub.asked == []


def test_two_processes_transfer_once(user: User, hub: Hub):
    locks = user.cache.parent / ".locks" / user.cache.name
    locks.mkdir(parents=True)
    with FileLock(locks / f"{SHA256}.lock"):
        processes = [user.starts("download", "official") for _ in range(2)]
        with pytest.raises(subprocess.TimeoutExpired):
            processes[0].wait(timeout=4)
        assert hub.ranges() == []  # both wait
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    for process in processes:
        process.communicate()
    assert len(hub.ranges()) == 1
