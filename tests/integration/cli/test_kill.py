"""`runcast kill`: end runs at once."""

import signal

from runcast import Reason, Store
from tests.helpers.children import marked
from tests.helpers.cli import cli
from tests.helpers.wait import wait_until


def test_kill(store: Store):
    """The run and everything it started is dead when the command returns, however it takes signals."""
    stubborn = "trap '' TERM INT HUP; (setsid sleep 1000 & setsid sleep 1000 & echo ready); exec sleep 1000"
    run = store.start(stubborn, shell=True)
    wait_until(lambda: run.tail_offset == 6)

    assert cli("kill", run.id) == (0, b"", "")
    assert (run.outcome.reason, run.outcome.signal) == (Reason.STOPPED, signal.SIGKILL)
    assert marked(run.id) == []


def test_finished(store: Store):
    """One that has ended is told, with exit code 2."""
    run = store.start(["false"])
    run.wait()

    done = cli("kill", "last")

    assert (done.code, done.out) == (2, b"")
    assert done.err == f"runcast: run {run.id} has ended (exit code 1): expected one that still goes on\n"
