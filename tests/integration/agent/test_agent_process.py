"""The process of an agent: how it ends, what it leaves behind, and what it says where it cannot go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from runcast.errors import RunElsewhere
from runcast.link.memory import MemoryLink
from runcast.store.links import LinkStatus, read_status
from runcast.store.mirrors import agent_lock
from runcast.supervisor import agents
from runcast.sysio.files import is_locked
from tests.helpers.cli import cli
from tests.helpers.disk import small_disk
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.memory_hosts import agent_of, hosts
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow
_OTHER = 65534  # a user who has nothing


def keeper_of(pid: int) -> int:
    """Return the process id of an agent's keeper."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return int(wait_until(lambda: path.read_text().split(), PATIENCE, "a keeper")[0])


def ended(*pids: int) -> bool:
    """Return whether none of these processes is there."""
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_sigterm_ends_it(two: list[Host], engine: Server):
    """SIGTERM ends agent and keeper, once a run that ends at the same moment is shared."""
    a = two[0]
    run = a.store.start(
        ["sh", "-c", "trap 'echo last; exit 7' TERM; echo begin; while :; do sleep 0.05; done"]
    )
    assert next(run.lines(timeout=PATIENCE)) == "begin"
    pid = a.begin()
    keeper = keeper_of(pid)
    key = f"rc:{{{run.id}}}run"
    wait_until(lambda: engine.command("HGET", key, "tail") == b"6", PATIENCE, "its output at the engine")
    os.kill(pid, signal.SIGTERM)
    run.stop()
    wait_until(lambda: ended(pid, keeper), PATIENCE, "their end")

    assert json.loads(engine.command("HGET", key, "outcome"))["code"] == 7
    assert a.agent is None
    assert not os.path.lexists(f"{a.store.path}/.owners/agent.sock")
    assert a.begin() != pid


@pytest.mark.parametrize("first", ["agent", "keeper"])
def test_order_of_a_shutdown(two: list[Host], first: str):
    """Whichever of agent and keeper is ended first by SIGTERM, none of them is there afterwards."""
    a = two[0]
    pid = a.begin()
    keeper = keeper_of(pid)
    order = (pid, keeper) if first == "agent" else (keeper, pid)
    for one in order:
        os.kill(one, signal.SIGTERM)
    wait_until(lambda: ended(pid, keeper) and a.agent is None, PATIENCE, "their end")


def test_store_is_removed(tmp_path: Path, engine: Server):
    """Agent and keeper end when the folder of their store is removed, and do not make it again."""
    with temporary_store(tmp_path / "s") as store:
        host = Host("s", store, engine.url, "gone:")
        pid = host.begin()
        keeper = keeper_of(pid)
        shutil.rmtree(store.path)
        wait_until(lambda: ended(pid, keeper), PATIENCE, "their end")
        assert not os.path.lexists(store.path)


def test_store_is_shared_no_more(two: list[Host]):
    """A follower of another host's run hears why no more comes; where the store is shared again, it does."""
    a, b = two
    run = a.store.start(["cat"], stdin="pipe")
    run.send(b"one\n")
    mirror = b.get(run)
    chunks = mirror.follow()
    assert next(chunks).data == b"one\n"
    os.unlink(f"{b.store.path}/link.json")

    with pytest.raises(RunElsewhere, match="'a', and the store is shared with no host any more: open") as end:
        next(chunks)
    assert end.value.unshared
    b.settings.write(b.store.path)
    run.send(b"two\n", eof=True)
    assert mirror.output(timeout=PATIENCE) == "one\ntwo\n"


def test_nothing_is_left(two: list[Host], engine: Server):
    """When all runs are removed on their hosts, neither the engine nor the stores have anything of them."""
    a, b = two
    runs = [a.store.start(["sh", "-c", "seq 1000; exit 1"], on_end=[]) for _ in range(3)]
    for run in runs:
        run.wait(timeout=PATIENCE)
        b.get(run).output(timeout=PATIENCE)
    for host in (b, a):
        done = cli("--store", host.store.path, "rm", *(run.id for run in runs))
        assert done.code == 0, done
        assert done.err.count(f"is gone from the list of this host: {a.name} has it") == (
            3 if host is b else 0
        )
    wait_until(lambda: not engine.command("KEYS", "rc:{*"), PATIENCE, "an empty engine")
    assert engine.command("ZCARD", "rc:runs") == 0
    ids = {run.id for run in runs}
    for host in two:
        left = [str(path) for path in Path(host.store.path).rglob("*")]
        assert [path for path in left if any(run_id in path for run_id in ids)] == []


def test_stale_status(tmp_path: Path, engine: Server, monkeypatch: pytest.MonkeyPatch):
    """The first list of a new process waits for the engine, though an agent of long ago found it down."""
    with linked_hosts(tmp_path, engine.url, "stale:") as (a, b):
        run = a.store.start(["true"])
        run.wait(timeout=PATIENCE)
        a.begin()
        wait_until(lambda: engine.command("HGET", f"stale:{{{run.id}}}run", "outcome"), PATIENCE)
        LinkStatus(False, time.time() - 60, "expected a server, there was none").write(b.store.path)
        os.utime(f"{b.store.path}/.link.json", (time.time() - 60,) * 2)
        monkeypatch.setattr(agents, "_LIST_SECONDS", PATIENCE)  # however busy this machine is
        assert b.store.ids() == [run.id]


def test_engine_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A first list finds the runs of an engine that is back, though the agent has found it down."""
    with (
        serving(valkey(), tmp_path / "engine") as engine,
        linked_hosts(tmp_path, engine.url, "back:") as (a, b),
    ):
        b.begin()
        wait_until(lambda: getattr(read_status(b.store.path), "up", False), PATIENCE, "a link")
        engine.kill()
        wait_until(lambda: not getattr(read_status(b.store.path), "up", True), PATIENCE, "none")
        engine.start()
        run = a.store.start(["true"])
        run.wait(timeout=PATIENCE)
        wait_until(lambda: engine.command("HGET", f"back:{{{run.id}}}run", "outcome"), PATIENCE)
        agents._listed.discard(b.store.path)  # as a new process would
        monkeypatch.setattr(agents, "_LIST_SECONDS", PATIENCE)
        assert b.store.ids() == [run.id]


def test_run_that_starts_as_it_ends(tmp_path: Path):
    """A run that was started while an agent was about to end is one that another has to share."""
    with hosts(tmp_path) as two:
        agent = two.agents[0]
        two.until(lambda: agent.hosts.leased)
        assert not agent.unshared
        agent.stop_listening()
        run = two.a.start(["true"])
        run.wait(timeout=PATIENCE)
        assert agent.unshared


def test_runs_before_the_first_link(tmp_path: Path):
    """An agent that never had a link stays while a run goes on, and need not when that is over."""
    with hosts(tmp_path) as two:
        run = two.a.start(["sleep", "600"])
        assert two.agents[0].unshared
        run.kill()
        run.wait(timeout=PATIENCE)
        assert not two.agents[0].unshared


def test_fault_is_no_loop(tmp_path: Path, engine: Server):
    """An agent that cannot go on says why, and is tried again by the same process, not by ever new ones."""
    with linked_hosts(tmp_path, engine.url, "loop:", "a") as (a,):
        obstacle = Path(a.store.path, ".owners", "agent.sock", "inside")
        obstacle.mkdir(parents=True)
        pid = a.begin()
        message = wait_until(lambda: getattr(read_status(a.store.path), "message", None), PATIENCE)
        assert message == "the agent failed: is a directory"
        listed = cli("--store", a.store.path, "ls")
        assert "not shared with other hosts since" in listed.err
        assert "is a directory" in listed.err
        shutil.rmtree(obstacle.parent)
        wait_until(lambda: getattr(read_status(a.store.path), "up", False), PATIENCE, "a link")
        assert a.agent == pid


def test_starts_are_bounded(tmp_path: Path):
    """A process that looks all the time starts an agent that never comes up ever more seldom."""
    with temporary_store(tmp_path / "s") as store:
        Host("s", store, "redis://127.0.0.1:1/0", "rc:")
        Path(store.path, ".owners").write_text("in the way")  # so no agent can take its lock
        for _ in range(3):
            agents._asked[store.path] = float("-inf")
            agents.see_to_agent(store.path)
        assert agents._starts[store.path] == 3
        assert agents._asked[store.path] - time.monotonic() > 2.0
        Path(store.path, ".owners").unlink()
        Path(store.path, "link.json").unlink()


def test_link_of_others_to_read(tmp_path: Path):
    """A `link.json` that others can read is refused where the user looks, and begins no agent."""
    with temporary_store(tmp_path / "s") as store:
        Host("s", store, "redis://127.0.0.1:1/0", "rc:")
        os.chmod(f"{store.path}/link.json", 0o640)
        listed = cli("--store", store.path, "ls")
        assert listed.code == 0
        assert "as a file that only its user can read" in listed.err
        assert not is_locked(agent_lock(store.path))
        assert not os.path.lexists(f"{store.path}/.owners/agent")
        Path(store.path, "link.json").unlink()


@pytest.mark.root
def test_store_of_two_users(engine: Server):
    """A store that a group may write to stays its owner's: another user is refused, and begins nothing."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        with temporary_store(Path(folder, "s")) as store:
            host = Host("s", store, engine.url, "users:")
            os.chown(store.path, -1, _OTHER)
            os.chmod(store.path, 0o770)
            code = (
                "import os, sys, getpass, redis; from runcast import Store; from runcast.errors import *\n"
                f"os.setgroups([]); os.setgid({_OTHER}); os.setuid({_OTHER})\n"
                "try: Store.open(sys.argv[1]).ids()\n"
                "except StoreUnusable as error: print(error)"
            )
            for name in (store.path, f"{engine.url}?store={store.path}"):
                command = [sys.executable, "-c", code, name]
                done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
                assert f"the store {store.path} belongs to user 0, this is" in done.stdout
            assert host.agent is None
            host.begin()
            host.end()


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


@pytest.mark.root
def test_read_only_store(tmp_path: Path, engine: Server):
    """On a read-only store `ls` has what is here, and says that others' runs are not brought."""
    from tests.helpers.programs import unshare

    with temporary_store(tmp_path / "s") as store:
        run = store.start(["true"])
        run.wait(timeout=PATIENCE)
        Host("s", store, engine.url, "ro:")
        code = "import sys; from runcast.cli.app import call; sys.exit(call(sys.argv[1:]))"
        command = [*unshare("--mount"), "sh", "-c", READ_ONLY, "sh", store.path]
        command += [sys.executable, "-c", code, "--store", store.path, "ls"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done
        assert run.id[-6:] in done.stdout or run.id in done.stdout
        assert "runs of other hosts are not brought here: the store cannot be written to" in done.stderr
        assert not is_locked(agent_lock(store.path))
        Path(store.path, "link.json").unlink()


@pytest.mark.root
def test_full_disk(tmp_path: Path, engine: Server):
    """On a full disk an agent lives on, `ls` says what is wrong, and mirrors are whole when there is room."""
    with small_disk(tmp_path / "disk", 2 * 1024 * 1024) as disk:
        (disk / "b").mkdir()
        with (
            linked_hosts(tmp_path, engine.url, "full:", "a") as (a,),
            temporary_store(disk / "b" / "store") as store,
        ):
            b = Host("b", store, engine.url, "full:")
            pid = b.begin()
            run = a.store.start(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"])
            run.wait(timeout=PATIENCE)
            mirror = b.get(run)
            ballast = disk / "ballast"
            free = os.statvfs(disk)
            ballast.write_bytes(bytes(free.f_bavail * free.f_frsize - 128 * 1024))
            reader = subprocess.Popen(
                [sys.executable, "-m", "runcast", "--store", store.path, "log", run.id],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            wait_until(lambda: "no space" in str(read_status(store.path)), PATIENCE, "what is wrong")
            assert "no space left on device" in cli("--store", store.path, "ls").err
            assert b.agent == pid
            ballast.unlink()
            assert reader.communicate(timeout=PATIENCE)[0] == b"x" * 300_000
            wait_until(lambda: mirror.closed, PATIENCE)
            wait_until(lambda: getattr(read_status(store.path), "message", "?") is None, PATIENCE)
            assert b.agent == pid
            b.end()


@pytest.mark.root
def test_agent_begins_on_a_full_disk(tmp_path: Path, engine: Server):
    """An agent begins on a full disk, and what it says takes the place of what was said before."""
    with small_disk(tmp_path / "disk", 1024 * 1024) as disk, temporary_store(disk / "store") as store:
        b = Host("b", store, engine.url, "full2:")
        first = b.begin()
        wait_until(lambda: getattr(read_status(store.path), "up", False), PATIENCE, "a link")
        os.kill(first, signal.SIGTERM)
        wait_until(lambda: b.agent is None, PATIENCE)
        (disk / "ballast").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
        LinkStatus(False, time.time(), "in place").write(store.path)
        said = read_status(store.path)
        assert said is not None
        assert said.message == "in place"
        b.begin()
        wait_until(lambda: getattr(read_status(store.path), "up", False), PATIENCE, "a link again")
        (disk / "ballast").unlink()
        b.end()


def test_unused_link_is_closed(tmp_path: Path):
    """An agent that was never connected closes without waiting for anybody."""
    from runcast.link.memory import MemoryEngine

    with temporary_store(tmp_path / "s") as store:
        agent = agent_of(store.path, MemoryLink(MemoryEngine()), "s")
        begun = time.monotonic()
        agent.close()
        os.close(agent._lock_fd)
        assert time.monotonic() - begun < 2000 * MS
