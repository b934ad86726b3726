"""Queues: so many runs of a name at once, the others in the order of their starts, through every death."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Outcome, Reason, Run, State, Store
from runcast.errors import UsageError
from runcast.store.queues import QueueFiles
from tests.helpers.children import supervisor_of
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow

DEADLINE = 20000 * MS
FOR_EVER = ["sleep", "1000"]


def state(run: Run) -> State:
    return run.state


def running(run: Run) -> None:
    wait_until(lambda: state(run) is State.RUNNING, timeout=DEADLINE)


def queued(run: Run, place: int) -> None:
    wait_until(lambda: run.place == place, timeout=DEADLINE, what=f"place {place}")


def entries(store: Store, name: str) -> set[str]:
    return {entry.run_id for entry in QueueFiles(store.path, name).entries()}


@pytest.fixture(name="first")
def first_fixture(store: Store) -> Run:
    """Give a run that has the one slot of the queue."""
    first = store.start(FOR_EVER, queue="deploy")
    running(first)
    return first


def test_in_order(store: Store, first: Run):
    """A run waits until fewer than `max_running` of its queue go on, behind those started before it."""
    waiting = [
        store.start(["sh", "-c", f"echo {number} >> order"], queue="deploy", cwd=store.path)
        for number in range(5)
    ]
    for place, run in enumerate(waiting, 1):
        queued(run, place)
    other = store.start(["true"], queue="other")
    assert other.wait(timeout=DEADLINE).ok  # a queue of its own

    first.kill()

    for run in waiting:
        assert run.wait(timeout=DEADLINE).ok
        assert (run.queue, run.place) == ("deploy", None)
    assert Path(store.path, "order").read_text().split() == list("01234")
    wait_until(lambda: not entries(store, "deploy"))


def test_so_many_at_once(store: Store):
    """`max_running` is a bound for the run that has it; each takes the slots of all others into account."""
    two = [store.start(FOR_EVER, queue="pool", max_running=2) for _ in range(2)]
    third = store.start(FOR_EVER, queue="pool", max_running=2)
    for run in two:
        running(run)
    queued(third, 1)

    two[1].kill()

    running(third)
    assert two[0].state is State.RUNNING


def test_bound_of_a_store(store: Store):
    """A store may have a bound for all commands started through it, and others for its queues."""
    bounded = Store.open(store.path, max_running=2, queues={"pool": 3})
    going = [bounded.start(FOR_EVER, queue="pool"), bounded.start(FOR_EVER)]
    for run in going:
        running(run)
    third = bounded.start(FOR_EVER, queue="pool")
    queued(third, 1)
    free = store.start(["true"])  # not through that one

    assert free.wait(timeout=DEADLINE).ok
    going[0].kill()
    running(third)


def test_slot_is_free_at_the_close(store: Store):
    """What a run's children still write belongs to it, so the next one waits for them."""
    first = store.start(["sh", "-c", "sleep 1000 & echo $!"], queue="deploy")
    second = store.start(["true"], queue="deploy")
    queued(second, 1)
    assert first.wait(timeout=DEADLINE).ok is True

    assert second.wait(timeout=DEADLINE).ok
    assert first.closed


def test_stopped_while_it_waits(store: Store, first: Run):
    """A run that is stopped gives its place to the next, and was never started."""
    second = store.start(["touch", f"{store.path}/second"], queue="deploy")
    third = store.start(["true"], queue="deploy")
    queued(second, 1)
    queued(third, 2)

    second.stop()
    queued(third, 1)
    first.kill()

    assert third.wait(timeout=DEADLINE).ok
    assert second.wait(timeout=DEADLINE).reason is Reason.STOPPED
    assert not Path(store.path, "second").exists()


def test_replace(store: Store, first: Run):
    """With `replace` all that is in the queue is stopped, and each of those says for which run."""
    second = store.start(["true"], queue="deploy")
    queued(second, 1)

    last = store.start(["echo", "up"], queue="deploy", replace=True)

    assert last.output(timeout=DEADLINE) == "up\n"
    why = f"run {last.id} replaced it"
    assert (first.wait().reason, first.wait().message) == (Reason.STOPPED, why)
    assert second.wait().message == f"its command was not started: {why}"


def test_replace_below_the_bound_of_a_store(store: Store):
    """Only runs of the same queue are replaced: others of the store go on, and wait on."""
    bounded = Store.open(store.path, max_running=2)
    other, replaced = bounded.start(FOR_EVER), bounded.start(FOR_EVER, queue="deploy")
    for run in (other, replaced):
        running(run)
    waits = bounded.start(FOR_EVER)
    queued(waits, 1)

    last = bounded.start(["true"], queue="deploy", replace=True)

    assert replaced.wait(timeout=DEADLINE, check=False).reason is Reason.STOPPED
    running(waits)
    queued(last, 1)
    assert other.state is State.RUNNING
    other.kill()
    assert last.wait(timeout=DEADLINE).ok
    assert waits.state is State.RUNNING


@pytest.mark.parametrize("who", ["first", "second"])
def test_killed_supervisor(store: Store, first: Run, who: str):
    """A queue goes on where a supervisor is killed, once what that left is ended: no two runs at once."""
    second = store.start(["true"], queue="deploy")
    third = store.start(
        ["sh", "-c", 'kill -0 "$1" 2> /dev/null && echo lives', "sh", str(first.pid)], queue="deploy"
    )
    queued(second, 1)
    queued(third, 2)

    os.kill(supervisor_of(first if who == "first" else second), signal.SIGKILL)
    if who == "second":
        queued(third, 1)
        first.kill()

    assert third.output(timeout=DEADLINE) == ""
    assert second.wait(timeout=DEADLINE).ok is (who == "first")


def test_starter_killed(store: Store, first: Run):
    """A start that was killed before its run was there leaves a place that nobody waits for."""
    dead = f"{first.id[:-1]}{'0' if first.id[-1] != '0' else '1'}"
    os.link(f"{store.path}/{first.id}/run.json", f"{store.path}/queues/deploy/{dead}")
    second = store.start(["true"], queue="deploy")
    queued(second, 1)
    first.kill()

    assert second.wait(timeout=DEADLINE).ok
    assert dead not in entries(store, "deploy")


RACE = """
    import sys
    from runcast import Store
    store = Store.open(sys.argv[1])
    sys.stdin.readline()
    one = ["flock", "--nonblock", "alone", "sleep", "0.02"]
    for _ in range(2):
        store.start(one, queue="race", cwd=sys.argv[1], replace=sys.argv[2] == "replace")
"""


def race(
    store: Store, how: str, processes: int, meanwhile: Callable[[], object] = lambda: None
) -> dict[str, Outcome]:
    """Have so many processes start two runs each at once; return how each ended, by id."""
    code = textwrap.dedent(RACE)
    starters = [
        subprocess.Popen([sys.executable, "-c", code, store.path, how], stdin=subprocess.PIPE)
        for _ in range(processes)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write(b"\n")
        starter.stdin.close()
    meanwhile()
    for starter in starters:
        assert starter.wait(DEADLINE) == 0
    ended = {run.id: run.wait(timeout=processes * DEADLINE, check=False) for run in store.list()}
    assert (
        store.start(["true"], queue="race").wait(timeout=DEADLINE).ok
    )  # it also clears what the killed left
    wait_until(lambda: not entries(store, "race"), timeout=DEADLINE)
    return ended


@pytest.mark.parametrize("how", ["wait", "replace"])
def test_many_processes(store: Store, how: str):
    """However many processes start at once, one run goes on at a time; of those that replace, the newest."""
    ended = race(store, how, 8)

    assert len(ended) == 16
    if how == "wait":
        assert all(outcome.ok for outcome in ended.values()), ended
    else:
        assert ended[max(ended)].ok
        assert {outcome.reason for outcome in ended.values()} <= {Reason.STOPPED, Reason.EXITED}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue": "a/b"}, "expected queue as a name of up to 64 letters, digits and . _ -"),
        ({"queue": ".store"}, "a letter or digit first"),
        ({"queue": "a", "max_running": 0}, "expected max_running as a number from 1 to 1000, got 0"),
        ({"max_running": 2}, "expected queue with max_running=2: without one the run waits for none"),
        ({"replace": True}, "expected queue with replace=True"),
    ],
)
def test_wrong(store: Store, options: dict[str, object], said: str):
    """What means nothing is refused before anything is started."""
    with pytest.raises(UsageError, match=said.replace(".", "[.]")):
        store.start(["true"], **options)  # type: ignore[arg-type]
    assert not list(store.ids())


def test_function(store: Store):
    """A function waits only in a process of its own: this process cannot wait for its turn."""
    with pytest.raises(UsageError, match="expected queue with a command or process=True only"):
        store.start(print, queue="deploy")
    assert store.start(print, "up", process=True, queue="deploy").output(timeout=DEADLINE) == "up\n"


@pytest.mark.parametrize("bounds", [{"max_running": 0}, {"queues": {"a/b": 1}}, {"queues": {"a": 0}}])
def test_wrong_bounds(store: Store, bounds: dict[str, object]):
    """A store refuses bounds without a meaning."""
    with pytest.raises(UsageError):
        Store.open(store.path, **bounds)  # type: ignore[arg-type]
