"""Agents as processes of their own, each for a store of its own, with a real engine between them."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.errors import RunFinished, SupervisorLost
from runcast.model import Reason, State
from runcast.store.links import read_status
from runcast.store.mirrors import take_agent_lock
from runcast.supervisor.agents import agent_command
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, files, linked_hosts, same
from tests.helpers.postgres import Postgres, postgres
from tests.helpers.wait import wait_until

WIDE = "for i in 1 2 3 4; do seq 1 100000; echo error $i >&2; done"

pytestmark = pytest.mark.slow


each_engine = pytest.mark.parametrize("engine", ["valkey", "postgres"], indirect=True)


@pytest.fixture(scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server | Postgres]:
    """A server of Valkey, or what the test wants."""
    if getattr(request, "param", "valkey") == "postgres":
        with postgres() as server:
            yield server
    else:
        with serving(valkey(), tmp_path_factory.mktemp("valkey")) as server:
            yield server


def whole(host: Host, run_id: str) -> None:
    """Wait until a host has all of a run."""
    run = host.store.get(run_id)
    assert sum(len(chunk.data) for chunk in run.follow()) == run.tail_offset
    wait_until(lambda: run.closed, PATIENCE)


@each_engine
def test_viewer_elsewhere(two: list[Host]):
    """Lines are read at another host while the run goes on there, and the end comes with its outcome."""
    a, b = two
    run = a.store.start(["sh", "-c", "echo one; read word; echo $word; exit 3"], stdin="pipe")
    mirror = b.get(run)
    lines = mirror.lines(timeout=PATIENCE)
    assert next(lines) == "one"
    wait_until(lambda: mirror.state is State.RUNNING, PATIENCE, "that it runs")
    run.send(b"two\n")

    assert list(lines) == ["two"]
    assert mirror.wait(timeout=PATIENCE) == run.wait(timeout=PATIENCE)
    same(run, mirror)


def test_end_of_a_quiet_run(two: list[Host]):
    """Who waits for a run of another host gets its end soon, though nobody looks at anything meanwhile."""
    a, b = two
    run = a.store.start(["sh", "-c", "read word"], stdin="pipe")
    mirror = b.get(run)
    ended: list[float] = []
    waiter = threading.Thread(target=lambda: (mirror.wait(timeout=PATIENCE), ended.append(time.monotonic())))
    waiter.start()
    since = time.monotonic()
    wait_until(lambda: time.monotonic() - since > 12.0, PATIENCE)  # longer than a look at the store lasts
    run.send(b"", eof=True)
    assert run.wait(timeout=PATIENCE).code == 1
    waiter.join(PATIENCE)
    assert ended
    assert mirror.outcome == run.outcome


@each_engine
def test_control_from_elsewhere(two: list[Host]):
    """Input, a signal, another size and a stop reach the run once, from a host that it is not on."""
    a, b = two
    run = a.store.start(["cat"], stdin="pipe")
    mirror = b.get(run)
    data = b"".join(b"line %d\n" % number for number in range(20_000))
    mirror.send(data)
    mirror.send(b"end\n", eof=True)
    assert mirror.wait(timeout=PATIENCE).ok
    assert run.output() == data.decode() + "end\n"
    whole(b, run.id)
    same(run, mirror)
    with pytest.raises(RunFinished):
        mirror.stop()

    sleeping = a.store.start(["sleep", "600"])
    b.get(sleeping).stop()
    assert sleeping.wait(timeout=PATIENCE).reason is Reason.STOPPED
    assert b.get(sleeping).wait(timeout=PATIENCE).reason is Reason.STOPPED


def test_input_that_nobody_reads_yet(two: list[Host]):
    """An answer that takes longer than another host waits comes later, and the input comes once."""
    a, b = two
    script = "while ! test -e go; do sleep 0.05; done; cat"
    run = a.store.start(["sh", "-c", script], stdin="pipe", cwd=a.store.path)
    mirror = b.get(run)
    data = b"x" * 300_000  # more than a pipe takes
    begun = time.monotonic()
    wait_until(lambda: _answered_late(mirror, data, begun, Path(a.store.path, "go")), PATIENCE)

    mirror.send(b"", eof=True)
    assert run.wait(timeout=PATIENCE).ok
    assert run.output() == data.decode()


def _answered_late(mirror: object, data: bytes, begun: float, go: Path) -> bool:
    import threading

    sender = threading.Thread(target=lambda: mirror.send(data))  # type: ignore[attr-defined]
    sender.start()
    sender.join(4.5)  # longer than the first answer takes: it was not refused meanwhile
    assert sender.is_alive()
    go.touch()
    sender.join(PATIENCE)
    return not sender.is_alive()


def test_second_agent_leaves(two: list[Host]):
    """A store has one agent: another one that is started ends at once."""
    import subprocess

    a = two[0]
    pid = a.begin()
    assert subprocess.run(agent_command(a.store.path), check=False, timeout=PATIENCE).returncode == 0
    assert take_agent_lock(a.store.path) is None
    assert a.agent == pid


def test_killed_agent_is_replaced(two: list[Host]):
    """Whichever of agent and keeper is killed, there is an agent again, though nobody looks at the store."""
    a = two[0]
    run = a.store.start(["sleep", "600"])
    pid = a.begin()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: a.agent not in (None, pid), PATIENCE, "another agent")
    second = a.agent
    assert second is not None
    keeper = wait_until(lambda: _children(second), PATIENCE, "its keeper")[0]
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: _children(second) not in ([], [keeper]), PATIENCE, "another keeper")
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: a.agent not in (None, pid, second), PATIENCE, "a third agent")
    assert run.pid
    assert run.state is State.RUNNING


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def test_agent_ends_when_idle(two: list[Host], engine: Server):
    """Without runs that go on, and with nobody who asks, an agent ends, and is back for the next who does."""
    import subprocess

    from runcast.supervisor.launch import python_command

    b = two[1]
    code = f"from runcast.agent.process import main; main({b.store.path!r}, 1.0)"
    agent = subprocess.Popen(python_command(code, site=True))
    assert agent.wait(timeout=PATIENCE) == 0
    assert b.agent is None
    b.begin()


@pytest.mark.parametrize("fault", ["frozen", "killed", "emptied", "emptied late", "killed postgres"])
def test_engine_fails(tmp_path: Path, fault: str):
    """An engine that stops, dies or forgets costs nothing: the run goes on, and the mirror is the same."""
    with (
        postgres() if "postgres" in fault else serving(valkey(), tmp_path / "engine") as engine,
        linked_hosts(tmp_path, engine.url, "rc:") as (a, b),
    ):
        run = a.store.start(["sh", "-c", f"{WIDE}; read word; {WIDE}; echo $word"], stdin="pipe")
        mirror = b.get(run)
        chunks = mirror.follow(timeout=PATIENCE)
        next(chunks)
        if fault == "emptied":
            engine.clear()
        elif fault == "frozen":
            engine.freeze()
        elif "killed" in fault:
            engine.kill()
        run.send(b"end\n")
        assert run.wait(timeout=PATIENCE).ok  # it waits for nobody
        if fault == "emptied late":
            engine.clear()
        if "killed" in fault:
            wait_until(lambda: not getattr(read_status(a.store.path), "up", True), PATIENCE, "the fault told")
            engine.start()
        engine.thaw()
        for _ in chunks:
            pass
        wait_until(lambda: mirror.closed, PATIENCE)
        same(run, mirror)


def test_database_is_restored(tmp_path: Path):
    """A backup that is restored in place lacks what came later, of runs that are over, too: it comes back."""
    with postgres() as engine, linked_hosts(tmp_path, engine.url, "rc:") as (a, b):
        first = a.store.start(["echo", "before"])
        run = a.store.start(["sh", "-c", f"{WIDE}; read word; echo $word"], stdin="pipe")
        early = b.get(run)
        wait_until(lambda: early.tail_offset > 0 and b.get(first).outcome, PATIENCE, "some of it")
        backup = engine.dump()
        later = a.store.start(["sh", "-c", WIDE])
        run.send(b"end\n")
        wait_until(lambda: b.get(run).outcome and b.get(later).outcome, PATIENCE, "the outcomes")
        tails = 'SELECT name, outcome IS NOT NULL, "rc:".tail_of(id, first) FROM "rc:".runs ORDER BY name'
        whole = engine.sql(tails)

        engine.restore(backup)

        assert len(engine.sql(tails)) < len(whole)
        wait_until(lambda: engine.sql(tails) == whole, PATIENCE, "all of it at the engine again")
        for one in (first, run, later):
            mirror = b.get(one)
            assert sum(len(chunk.data) for chunk in mirror.follow(timeout=PATIENCE)) == one.tail_offset
            wait_until(lambda mirror=mirror: mirror.closed, PATIENCE)  # type: ignore[misc]
            same(one, mirror)


def test_host_is_gone(tmp_path: Path, engine: Server):
    """A host that is gone loses its runs once, and keeps its files whole. A stop says that it is silent."""
    with linked_hosts(tmp_path, engine.url, "gone:", lost_after=4.0) as (a, b):
        run = a.store.start(["sh", "-c", "echo begin; read word; echo $word"], stdin="pipe")
        mirror = b.get(run)
        lines = mirror.lines(timeout=PATIENCE)
        assert next(lines) == "begin"
        pid = a.begin()
        keeper = wait_until(lambda: _children(pid), PATIENCE)[0]
        for one in (keeper, pid):
            os.kill(one, signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(SupervisorLost, match="host a does not answer"):
            mirror.stop()
        assert time.monotonic() - begun < PATIENCE
        outcome = mirror.wait(timeout=PATIENCE)
        assert (outcome.reason, outcome.message) == (Reason.LOST, "host a was silent for 4 s")
        for one in (pid, keeper):
            os.kill(one, signal.SIGCONT)
        run.send(b"end\n")
        assert run.wait(timeout=PATIENCE).ok
        assert run.output() == "begin\nend\n"
        wait_until(lambda: run.id in str(read_status(a.store.path)), PATIENCE, "what became of it")
        assert files(mirror) == b"begin\n"
