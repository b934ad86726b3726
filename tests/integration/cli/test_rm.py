"""`runcast rm`: remove finished runs."""

import os

from runcast import State, Store
from tests.helpers.cli import LONG, cli

SLEEP = ["sleep", "1000"]


def ids(store: Store) -> list[str]:
    return [run.id for run in store.list()]


def test_rm(store: Store):
    """A finished run and its log are gone, the others stay."""
    first, second = store.start(["echo"]), store.start(["echo"])
    first.wait(timeout=LONG)

    assert cli("rm", first.id) == (0, b"", "")
    assert ids(store) == [second.id]
    assert not [name for name in os.listdir(store.path) if first.id in name]
    assert cli("rm", first.id).code == 2


def test_active_is_refused(store: Store):
    """A run that goes on is refused, with what to do; those that are over are removed."""
    over, run = store.start(["true"]), store.start(SLEEP)
    over.wait(timeout=LONG)
    assert run.pid

    done = cli("rm", run.id, over.id)

    assert (done.code, done.out) == (2, b"")
    assert done.err == f"runcast: run {run.id} is running: stop it first, then remove it\n"
    assert ids(store) == [run.id]
    assert run.state is State.RUNNING


def test_force(store: Store):
    """`--force` stops what goes on, then removes it."""
    over, run = store.start(["true"]), store.start(SLEEP)
    over.wait(timeout=LONG)

    assert cli("rm", "--force", run.id, over.id) == (0, b"", "")
    assert ids(store) == []


def test_all_finished(store: Store):
    """`--all-finished` removes all that are over, and nothing else."""
    for run in [store.start(["true"]) for _ in range(3)]:
        run.wait(timeout=LONG)
    run = store.start(SLEEP)

    assert cli("rm", "--all-finished") == (0, b"", "")
    assert ids(store) == [run.id]


def test_nothing_named(store: Store):
    """Removing nothing, or something and everything, is a usage error."""
    store.start(["true"]).wait(timeout=LONG)

    done = cli("rm")
    assert done.err == "runcast: expected the ids of runs, or --all-finished (see `runcast rm --help`)\n"
    assert done.code == 2
    assert cli("rm", "--all-finished", "last").code == 2
    assert len(ids(store)) == 1
