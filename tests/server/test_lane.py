"""Order, bounds and cancellation of the device's lane; no clocks, only events."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vista3d.errors import CancelledError
from vista3d.inference import Progress
from vista3d.server.errors import BusyError
from vista3d.server.lane import Lane, Task


class Gate(Task):
    """A task that holds the lane until it is opened."""

    def __init__(self, owner="gate", urgent=True):
        self.entered, self.opened = threading.Event(), threading.Event()
        super().__init__(self.hold, owner, urgent)

    def hold(self, progress, cancel):
        self.entered.set()
        assert self.opened.wait(20)


@pytest.fixture
def lane():
    lane = Lane("test", limit=3)
    yield lane
    lane.close()


def test_results_and_errors_come_back(lane):
    assert lane.run(lambda *_: 7, owner="a") == 7
    with pytest.raises(ZeroDivisionError):
        lane.run(lambda *_: 1 / 0, owner="a")
    assert lane.run(lambda *_: 8, owner="a") == 8


def test_all_work_is_done_by_one_thread(lane):
    with ThreadPoolExecutor(3) as pool:
        threads = pool.map(lambda _: lane.run(lambda *_: threading.get_ident(), owner="a"), "abc")
        assert len(set(threads)) == 1


def test_clicks_go_before_automatic_runs(lane):
    gate, order = Gate(), []
    lane.submit(gate)
    assert gate.entered.wait(20)
    tasks = [
        Task(lambda *_, n=name: order.append(n), "a", urgent=name == "click")
        for name in ("run", "click")
    ]
    for task in tasks:
        lane.submit(task)
    gate.opened.set()
    for task in tasks:
        task.future.result(20)
    assert order == ["click", "run"]


def test_a_long_run_lets_clicks_of_others_pass(lane):
    order = []
    other = Task(lambda *_: order.append("other's click"), "other")
    mine = Task(lambda *_: order.append("my click"), "mine")

    def long(progress, cancel):
        order.append("begin")
        lane.submit(mine)
        lane.submit(other)
        progress(Progress("segmenting", 0.5))
        order.append("end")

    lane.run(long, owner="mine", urgent=False)
    mine.future.result(20)
    assert order == ["begin", "other's click", "end", "my click"]


def test_a_full_queue_says_when_to_come_back(lane):
    gate = Gate()
    lane.submit(gate)
    assert gate.entered.wait(20)
    for _ in range(3):
        lane.submit(Task(lambda *_: None, "a"))
    with pytest.raises(BusyError) as full:
        lane.submit(Task(lambda *_: None, "b"))
    assert full.value.retry_after >= 1
    assert full.value.http_status == 503
    gate.opened.set()


def test_a_waiting_task_can_be_cancelled(lane):
    gate, cancel = Gate(), threading.Event()
    lane.submit(gate)
    assert gate.entered.wait(20)
    cancel.set()
    with pytest.raises(CancelledError):
        lane.run(lambda *_: pytest.fail("it ran"), owner="a", cancel=cancel)
    assert lane.waiting == 0
    gate.opened.set()


def test_closing_ends_what_runs_and_refuses_the_rest(lane):
    entered = threading.Event()
    task = Task(lambda _, cancel: (entered.set(), cancel.wait(20))[1], "a")
    lane.submit(task)
    assert entered.wait(20)
    lane.close()
    assert task.future.result(20) is True
    assert not lane.alive
    with pytest.raises(BusyError):
        lane.submit(Task(lambda *_: None, "a"))
