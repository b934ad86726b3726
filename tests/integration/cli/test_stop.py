"""`runcast stop`: ask runs to end."""

import signal

import pytest

from runcast import Outcome, Reason, Run, State, Store
from tests.helpers.cli import LONG, cli
from tests.helpers.wait import wait_until

READY = "echo ready; while :; do sleep 0.01; done"


def ready(store: Store, trap: str = "", command: str = READY) -> Run:
    """Start a run and return it when it has set its traps."""
    run = store.start(f"{trap}; {command}" if trap else command, shell=True)
    wait_until(lambda: run.tail_offset >= 6, what="ready")
    return run


def test_stop(store: Store):
    """A run is asked with SIGTERM, and is over when the command returns."""
    run = ready(store)

    assert cli("stop", run.id) == (0, b"", "")
    assert run.outcome._replace(usage=None, stopped_by=None) == Outcome(
        Reason.STOPPED, signal=15, ended_at=run.outcome.ended_at, started_at=run.started_at
    )


def test_several(store: Store):
    """Several are stopped at the same time."""
    runs = [ready(store) for _ in range(3)]

    assert cli("stop", *(run.id for run in runs)) == (0, b"", "")
    assert {run.outcome.reason for run in runs} == {Reason.STOPPED}


def test_grace(store: Store):
    """A run that does not listen is killed when the grace is over."""
    run = ready(store, "trap '' TERM")

    assert cli("stop", "--grace", "100ms", run.id).code == 0
    assert run.outcome.signal == signal.SIGKILL


@pytest.mark.parametrize("name", ["INT", "SIGINT", "2"])
def test_signal(store: Store, name: str):
    """`--signal` asks with another signal, by name or number."""
    run = ready(store, "trap 'exit 5' INT")

    assert cli("stop", "--signal", name, run.id).code == 0
    assert run.outcome.code == 5


def test_no_wait(store: Store):
    """`--no-wait` returns at once."""
    run = ready(store, "trap '' TERM")

    assert cli("stop", "--no-wait", "--grace", "1h", run.id) == (0, b"", "")
    assert run.state is State.STOPPING


def test_finished(store: Store):
    """One that has ended is told, with exit code 2; the others are stopped."""
    over, run = store.start(["true"]), ready(store)
    over.wait(timeout=LONG)

    done = cli("stop", over.id, run.id)

    assert (done.code, done.out) == (2, b"")
    assert done.err == f"runcast: run {over.id} has ended (exit code 0): expected one that still goes on\n"
    assert run.outcome.reason is Reason.STOPPED


def test_unknown_id(store: Store):
    """An unknown id is told before anything is stopped."""
    run = ready(store)

    done = cli("stop", run.id, "nonsense")

    assert done.code == 2
    assert "no run 'nonsense'" in done.err
    assert run.state is State.RUNNING


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--signal", "NOPE"], "--signal: expected a signal such as TERM, SIGINT or 9, got 'NOPE'"),
        (["--grace", "-1"], "--grace: expected a duration such as 90, 90s, 5m, 1h30m or 7d, got '-1'"),
    ],
)
def test_bad_values(store: Store, options: list[str], said: str):
    """A value that is none is told in one line, and nothing is stopped."""
    run = ready(store)

    done = cli("stop", *options, run.id)

    assert (done.code, done.err.partition(" (see")[0]) == (2, f"runcast: {said}")
    assert run.state is State.RUNNING
