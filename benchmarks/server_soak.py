"""Many clients at once, a memory that holds only some of them, and a SIGKILL in the middle.

Each client has a session and does random things to it: clicks, strokes, objects, locks, undo, redo,
automatic runs that it sometimes cancels. It keeps its own label map, patched from the boxes that
the answers name, as the page does; now and then, and after the restart, the server's whole map must
be equal to it. Allowed answers: 2xx, and 429 or 503 with Retry-After.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.machine import describe
from benchmarks.server_process import ServerProcess, running


@dataclass
class Ledger:
    """What all clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    checks: int = 0
    refused: int = 0
    uncertain: int = 0


class DownError(Exception):
    """The server does not answer."""


class Client(threading.Thread):
    """One person, rather hectic."""

    def __init__(self, number: int, address: str, study: dict[str, Any], ledger: Ledger) -> None:
        super().__init__(name=f"client-{number}")
        self.rng = np.random.default_rng(number)
        self.http = httpx.Client(base_url=f"{address}/api/v1", timeout=300)
        self.shape, self.study, self.ledger = tuple(study["shape"]), study["id"], ledger
        self.stop, self.paused = threading.Event(), threading.Event()
        self.mirror = np.zeros(self.shape, np.uint16, order="F")
        self.state: dict[str, Any] = {}
        self.stale = False

    # Requests.

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request, repeated as long as the server is only busy."""
        while True:
            try:
                answer = self.http.request(method, path, **options)
            except httpx.TransportError as error:
                raise DownError from error
            self.ledger.statuses[answer.status_code] += 1
            if answer.status_code in (429, 503) and "retry-after" in answer.headers:
                if self.stop.wait(float(answer.headers["retry-after"])):
                    raise DownError
                continue
            if not answer.is_success:
                self.fault(f"{method} {path.split('?')[0]}: {answer.status_code} {answer.text}")
            return answer

    def fault(self, text: str) -> None:
        self.ledger.faults.append(f"{self.name}: {text[:300]}")

    def edit(self, method: str, path: str, **options: Any) -> None:
        """An edit; its changed box is fetched into the mirror."""
        self.stale = True
        answer = self.ask(method, f"/sessions/{self.state['id']}{path}", **options)
        if answer.is_success:
            self.take(answer.json())
        self.stale = False

    def take(self, edit: dict[str, Any]) -> None:
        self.state = edit["state"]
        if not self.state["saved"]:
            self.fault("an edit was not saved")
        if edit["changed"] is not None:
            self.fetch(edit["changed"]["box"])

    def fetch(self, box: list[list[int]]) -> None:
        text = ",".join(str(n) for ends in box for n in ends)
        answer = self.ask("GET", f"/sessions/{self.state['id']}/labels", params={"box": text})
        i, j, k = (slice(*ends) for ends in box)
        part = self.mirror[i, j, k]
        part[...] = np.frombuffer(answer.content, "<u2").reshape(part.shape, order="F")

    def whole(self) -> np.ndarray:
        answer = self.ask("GET", f"/sessions/{self.state['id']}/labels")
        return np.frombuffer(answer.content, "<u2").reshape(self.shape, order="F")

    def check(self) -> None:
        """The server's label map must be the one that its answers added up to."""
        self.ledger.checks += 1
        if not np.array_equal(self.whole(), self.mirror):
            self.fault("the label map differs from what the answers said")

    # What a person does.

    def run(self) -> None:
        try:
            self.state = self.ask("POST", "/sessions", json={"study": self.study}).json()
        except DownError:
            return
        while not self.stop.is_set():
            try:
                self.act()
            except DownError:
                self.paused.set()
                self.stop.wait(0.5)

    def act(self) -> None:
        if self.paused.is_set():
            self.resume()
        actions = ("click", "stroke", "object", "undo", "redo", "rename", "lock", "remove",
                   "overlap", "automatic", "check")  # fmt: skip
        odds = np.array([25, 20, 8, 12, 6, 4, 4, 3, 3, 3, 12], float)
        name = str(self.rng.choice(actions, p=odds / odds.sum()))
        self.ledger.actions[name] += 1
        getattr(self, name)()

    def resume(self) -> None:
        """After the restart: what was answered is there; what was under way may be or not.

        An edit that was answered, but whose box could not be fetched any more, is under way, too.
        """
        before = self.state
        self.state = self.ask("GET", f"/sessions/{before['id']}").json()
        same = all(self.state[key] == before[key] for key in ("objects", "undo", "redo"))
        if self.stale:
            self.ledger.uncertain += 1
            self.mirror[...] = self.whole()
        else:
            if not same:
                self.fault("the session is not as it was answered")
            self.check()
        self.stale = False
        self.paused.clear()

    def unlocked(self) -> list[int]:
        return [thing["id"] for thing in self.state["objects"] if not thing["locked"]]

    def some(self) -> int | None:
        numbers = self.unlocked()
        return int(self.rng.choice(numbers)) if numbers else None

    def click(self) -> None:
        voxel = [float(self.rng.integers(0, n)) for n in self.shape]
        body = {"position": voxel, "space": "voxel", "positive": bool(self.rng.random() < 0.7)}
        number = self.some()
        if number is None:
            self.object()
            number = self.state["active"]
        self.edit("POST", "/clicks", json={**body, "object": number})

    def stroke(self) -> None:
        number = self.some()
        if number is None:
            return
        size = self.rng.integers(2, 12, 3)
        low = [int(self.rng.integers(0, n - s)) for n, s in zip(self.shape, size, strict=True)]
        box = ",".join(f"{a},{a + s}" for a, s in zip(low, size.tolist(), strict=True))
        values = (self.rng.random(size) < 0.8).astype(np.uint8)
        body = gzip.compress(values.tobytes(order="F"))
        params = {"object": number, "box": box, "adds": bool(self.rng.random() < 0.6)}
        self.edit("POST", "/brush", params=params, content=body)

    def object(self) -> None:
        if len(self.state["objects"]) < 12:
            self.edit("POST", "/objects", json={"name": f"thing {self.rng.integers(99)}"})

    def undo(self) -> None:
        self.edit("POST", "/undo")

    def redo(self) -> None:
        self.edit("POST", "/redo")

    def rename(self) -> None:
        if (number := self.some()) is not None:
            self.edit("PATCH", f"/objects/{number}", json={"name": f"name {self.rng.integers(99)}"})

    def lock(self) -> None:
        for thing in self.state["objects"][:1]:
            self.edit("PATCH", f"/objects/{thing['id']}", json={"locked": not thing["locked"]})

    def remove(self) -> None:
        if (number := self.some()) is not None:
            self.edit("DELETE", f"/objects/{number}")

    def overlap(self) -> None:
        policy = str(self.rng.choice(["overwrite", "keep_existing", "allow_overlap"]))
        self.edit("PUT", "/overlap", json={"policy": policy})

    def automatic(self) -> None:
        classes = ["liver", "spleen", "aorta"]
        self.stale = True
        path = f"/sessions/{self.state['id']}/automatic"
        job = self.ask("POST", path, json={"classes": classes}).json()
        if self.rng.random() < 0.3:
            self.ask("DELETE", f"/jobs/{job['id']}")
        while job["state"] in ("queued", "running"):
            time.sleep(0.3)
            job = self.ask("GET", f"/jobs/{job['id']}").json()
        if job["state"] == "failed" and job["error"]["error"] == "MemoryBudgetError":
            self.ledger.refused += 1
        elif job["state"] == "failed":
            self.fault(f"an automatic run failed: {job['error']}")
        if job["state"] == "done":
            self.take(job["result"])
        self.stale = False


def main(arguments: list[str]) -> None:
    """Run, and exit with 1 where anything was lost or refused without reason."""
    parser = argparse.ArgumentParser("python -m benchmarks server_soak", description=__doc__)
    case = "../shared/data/Dataset103_TorsoPseudo/imagesTr/totalseg_slab_0000.nii.gz"
    parser.add_argument("--case", type=Path, default=Path(case))
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--memory", type=float, default=3, help="GiB for open sessions")
    options = parser.parse_args(arguments)
    ledger = Ledger()
    limits = ("--memory", str(options.memory), "--idle", "0.5")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), *limits) as server:
        with options.case.open("rb") as file:
            answer = httpx.post(f"{server.address}/api/v1/studies", files={"files": file})
        study = answer.raise_for_status().json()
        clients = [Client(n, server.address, study, ledger) for n in range(options.clients)]
        for client in clients:
            client.start()
        half = 30 * options.minutes
        memory = watch(server, half)
        print("SIGKILL")
        server.kill()
        server.start()
        memory += watch(server, half)
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(300)
        memory.append(server.memory_gib("VmHWM"))
        at_the_end(clients, server)
    print(describe())
    print(f"answers {dict(sorted(ledger.statuses.items()))}")
    print(f"actions {dict(ledger.actions)}")
    print(f"label maps compared: {ledger.checks}; edits cut off by SIGKILL: {ledger.uncertain}")
    print(f"automatic runs refused as the machine had no memory for them: {ledger.refused}")
    print(f"memory of the server, GiB: most {max(memory):.2f}, samples {memory}")
    print(f"faults: {len(ledger.faults)}")
    for text in ledger.faults[:20]:
        print(f"  {text}")
    if ledger.faults:
        raise SystemExit(1)


def watch(server: ServerProcess, seconds: float) -> list[float]:
    """Memory of the server, ten times in this span."""
    found = []
    for _ in range(10):
        time.sleep(seconds / 10)
        found.append(round(server.memory_gib(), 2))
    return found


def at_the_end(clients: list[Client], server: ServerProcess) -> None:
    """Killed and started once more: every session is there, every mask as it was answered."""
    server.kill()
    server.start()
    for client in clients:
        client.stop.clear()
        if client.state:
            client.resume()
