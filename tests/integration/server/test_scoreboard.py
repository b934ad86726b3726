"""What workers know of each other, in memory that they share; and what is counted for all of them."""

import math
import os
import signal
from collections.abc import Callable

from runcast.server.attempts import FAILURE_SECONDS, FAILURES, Attempts, SharedAttempts
from runcast.server.connections import MOST_STRANGERS, Connections
from runcast.server.metrics import Metrics, Sources
from runcast.server.process_metrics import WorkersCollector
from runcast.server.run_watch import SharedRunWatch
from runcast.server.scoreboard import ATTEMPTS, NOW, Scoreboard, SharedCounts, SharedViewers, Worker
from runcast.sysio.shared_memory import SharedValue


def in_child(action: Callable[[], object]) -> int:
    """Do something in a forked process; return how it ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_sums():
    """Each worker reads the sums of all, also of one in another process."""
    board = Scoreboard(2)
    own = SharedCounts(Worker(board, 0))
    own.add("requests", "GET", "200", by=3)

    def other() -> None:
        counts = SharedCounts(Worker(board, 1))
        counts.add("requests", "GET", "200")
        counts.add("requests", "GET", "404")

    assert in_child(other) == 0
    assert own.totals("requests") == {("GET", "200"): 4, ("GET", "404"): 1}
    assert own.totals("refused") == {}


def test_numbers_outlive_a_worker():
    """The next worker in a place counts on; viewers of the one that died are gone, and its connections."""
    board = Scoreboard(2)
    board.came(0, 10)
    board.came(1, 11)
    counts = SharedCounts(Worker(board, 1))
    viewers = SharedViewers(counts)
    viewers["sse"] += 2
    counts.add("started", by=5)
    board.set_connections(0, 9)
    board.set_connections(1, 3)
    assert board.fewest_connections() == 3
    assert counts.totals(NOW) == {("viewers", "sse"): 2}
    version = board.version

    board.went(1, cpu=1.5)

    assert board.version == version + 2
    assert (board.pids, board.former_cpu, board.restarts) == ([10], 1.5, 0)
    assert board.fewest_connections() == 9
    successor = SharedCounts(Worker(board, 1))
    board.came(1, 12)
    assert (board.pids, board.restarts) == ([10, 12], 1)
    successor.add("started")
    assert successor.totals("started") == {(): 6}
    assert successor.totals(NOW) == {("viewers", "sse"): 0}


def test_nobody_takes_connections_yet():
    """Where no worker has begun, none has fewer than another."""
    assert Scoreboard(3).fewest_connections() == math.inf


def test_lock_of_a_dead_worker():
    """A worker that dies with a lock held keeps nobody out."""
    board = Scoreboard(2)

    def die() -> None:
        with board.locked(ATTEMPTS):
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    with board.locked(ATTEMPTS):
        pass


def test_attempts():
    """Wrong tokens are counted together, wherever they come."""
    board = Scoreboard(2)
    both, alone = [SharedAttempts(board), SharedAttempts(board)], Attempts()
    waits = [both[number % 2].count(1000.0) for number in range(FAILURES + 2)]

    assert waits == [alone.count(1000.0) for _ in range(FAILURES + 2)]
    assert waits == [0] * FAILURES + [FAILURE_SECONDS] * 2
    assert both[1].count(1000.0 + FAILURE_SECONDS) == 0
    assert both[0].count(1000.0 + FAILURE_SECONDS) == FAILURE_SECONDS


def test_value():
    """A value of any length is replaced whole; one that dies in the middle leaves the former."""
    value = SharedValue()
    assert value.load() == b""
    for data in (b"first" * 100_000, b"second", b""):
        assert in_child(lambda data=data: value.store(data)) == 0
        assert value.load() == data


def test_strangers_are_divided():
    """The bounds of strangers are those of the server, so each worker has its part."""
    assert Connections(shares=2)._most_strangers == MOST_STRANGERS // 2


def test_runs_are_counted_once(tmp_path):
    """What one worker has counted another does not count again, nor does the one that follows it."""
    from runcast import Store

    store, board = Store(str(tmp_path / "store")), Scoreboard(2)
    first, second = (SharedRunWatch(store.path, (), board) for _ in range(2))
    store.start(["true"]).wait()
    assert first.look().ended["true", "ok"] == 1
    store.start(["true"]).wait()
    assert second.look().ended["true", "ok"] == 2
    assert first.look().ended["true", "ok"] == 2
    assert SharedRunWatch(store.path, (), board).look().ended["true", "ok"] == 2


def test_metrics_of_processes():
    """The metrics of processes are sums, and the processor time has that of workers that have ended."""
    board = Scoreboard(2)
    board.came(0, os.getpid())
    worker = Worker(board, 0)

    def read(name: str) -> float:
        text = Metrics(Sources(), SharedCounts(worker), worker).text()[0].decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))

    before = read("process_cpu_seconds_total")
    assert read("runcast_workers") == 1
    board.went(1, cpu=1000.0)
    assert read("process_cpu_seconds_total") >= before + 1000.0


def test_processor_time_is_in_whole_ticks():
    """A sum in another order is the same: a counter that is less by a last digit seems to begin anew."""
    board = Scoreboard(1)
    for _ in range(30):
        board.went(0, cpu=0.07)
    (read,) = (one.samples[0].value for one in WorkersCollector(board).collect() if "cpu" in one.name)
    assert read == round(read, 2)
