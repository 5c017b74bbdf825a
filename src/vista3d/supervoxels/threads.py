"""One thread for many small tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """torch on one CPU thread inside the block.

    Clustering is thousands of operations of a megabyte, and every one of them waits for all
    threads: on two cores that other processes use as well, 96 x 96 x 80 voxels take 7 to 11 s on
    two threads and 0.7 s on one. Scans are the better thing to do in parallel.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
