"""`vista3d serve` as a process of its own, for benchmarks."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx


class ServerProcess:
    """A server that can be killed and started again at the same address.

    Args:
        storage: its folder.
        options: of `vista3d serve`.
    """

    def __init__(self, storage: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable, "-m", "vista3d", "serve", "--storage", str(storage),
            "--port", str(port), *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self, seconds: float = 120) -> None:
        """Start it and wait until clicks are answered."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200:
                    return
            time.sleep(0.2)
        msg = f"the server was not ready after {seconds} s"
        raise TimeoutError(msg)

    def kill(self) -> None:
        """SIGKILL: no chance to save anything."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def memory_gib(self, field: str = "VmRSS") -> float:
        """Resident memory now, or VmHWM: the largest so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{field}:\s+(\d+) kB", status)
        return int(found[1]) / 2**20 if found else float("nan")


@contextlib.contextmanager
def running(storage: Path, *options: str) -> Iterator[ServerProcess]:
    """A started server; killed at the end."""
    server = ServerProcess(storage, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
