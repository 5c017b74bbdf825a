"""Pieces of work on all cores, and memory given back early."""

import mmap
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from vista3d.inference import heap, workers


def test_every_piece_is_worked_on_once_and_torch_keeps_its_threads():
    before, done, seen = torch.get_num_threads(), [], []
    workers.each(done.append, range(50), lambda *at: seen.append(at))
    assert sorted(done) == list(range(50))
    assert seen == [(k, 50) for k in range(50)]
    assert torch.get_num_threads() == before
    workers.each(done.append, [], lambda *at: pytest.fail("no piece"))


def test_an_error_in_a_piece_arrives():
    with pytest.raises(ZeroDivisionError):
        workers.each(lambda k: 1 / k, [1, 0, 2], lambda *at: None)


def test_stopping_drops_what_was_not_begun():
    begun, go_on = [], threading.Event()

    def work(k: int) -> None:
        begun.append(k)
        go_on.wait(10)

    def stop(done: int, total: int) -> None:
        go_on.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.each(work, range(10_000), stop)
    count = len(begun)
    assert count < 10_000
    workers.each(lambda k: None, [0], lambda *at: None)
    assert len(begun) == count


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_mapped_file_leaves_memory_and_comes_back(tmp_path: Path):
    path = tmp_path / "weights.bin"
    content = np.arange(2**20, dtype=np.int32)
    content.tofile(path)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert np.array_equal(np.frombuffer(bytes(mapped), np.int32), content)
        assert _resident(path) > 3 * 2**20
        heap.release_file(path)
        assert _resident(path) < 2**20
        assert bytes(mapped[:4096]) == content[:1024].tobytes()
    heap.trim_heap()


def _resident(path: Path) -> int:
    """Bytes of the mapped file that are in this process's memory."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.endswith(str(path)))
    return 1024 * int(next(x for x in lines[at:] if x.startswith("Rss")).split()[1])
