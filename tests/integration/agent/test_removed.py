"""What is removed on its host leaves the engine, and a mirror that was removed stays away, agent or not."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runcast import Store
from runcast.agent import removals, vanished
from runcast.ids import new_run_id
from runcast.link.memory import MemoryLink
from runcast.model import State
from runcast.store.files import StoreFiles
from runcast.store.links import LinkFile
from runcast.store.removed import removed_mirrors
from tests.helpers.memory_hosts import Turns, agent_of
from tests.helpers.wait import MS

DEADLINE = 15000 * MS

pytestmark = pytest.mark.slow


def end_agent(turns: Turns, number: int) -> None:
    """Have a host without an agent."""
    agent = turns.agents.pop(number)
    agent.close()
    os.close(agent._lock_fd)


def begin_agent(turns: Turns, number: int) -> None:
    """Have it have one again."""
    store, name = ((turns.a, "a"), (turns.b, "b"))[number]
    turns.agents.insert(number, agent_of(store.path, MemoryLink(turns.engine), name))


def remove(store: Store, run_id: str) -> None:
    """Remove a run as a process of its own would, which knows the store as one that is shared."""
    code = f"from runcast.store.files import StoreFiles; StoreFiles({store.path!r}).remove({run_id!r})"
    path = LinkFile("memory:", None, "any").write(store.path) and Path(store.path, "link.json")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=DEADLINE)
    path.unlink()


def test_removed_without_an_agent(turns: Turns):
    """A run that was removed while its host had no agent leaves the engine when there is one again."""
    run, other = turns.a.start(["echo", "words"]), turns.a.start(["true"])
    for one in (run, other):
        one.wait(timeout=DEADLINE)
    turns.until(lambda: {run.id, other.id} <= turns.engine.runs.keys() and not turns.agents[0].shipping.runs)
    turns.mirror(run)
    end_agent(turns, 0)
    remove(turns.a, run.id)
    turns.turn()
    assert run.id in turns.engine.runs
    begin_agent(turns, 0)

    turns.until(lambda: run.id not in turns.engine.runs, "the engine forgets it")
    assert other.id in turns.engine.runs
    turns.until(lambda: os.path.getsize(f"{turns.a.path}/.link.dropped") == 0)
    assert run.id in turns.b.ids()  # what others have of it they keep
    assert run.id not in turns.a.ids()


def test_mirror_removed_without_an_agent(turns: Turns):
    """A mirror that was removed while there was no agent does not come back, and its run is not touched."""
    run = turns.a.start(["echo", "words"])
    run.wait(timeout=DEADLINE)
    mirror = turns.whole(run)
    end_agent(turns, 1)
    remove(turns.b, mirror.id)
    begin_agent(turns, 1)
    later = turns.a.start(["true"])
    later.wait(timeout=DEADLINE)
    turns.mirror(later)

    assert removed_mirrors(turns.b.path) == [run.id]
    assert run.id not in turns.b.ids()
    assert run.id in turns.engine.runs


def test_removed_without_watches(turns: Turns):
    """Where the kernel has no watch left, a look now and then finds what was removed, on both sides."""
    run = turns.a.start(["echo", "words"])
    run.wait(timeout=DEADLINE)
    turns.whole(run)
    for agent in turns.agents:
        agent.watch.close()
    remove(turns.b, run.id)
    turns.until(lambda: not turns.agents[1].mirrors.runs)
    assert run.id in turns.engine.runs
    remove(turns.a, run.id)
    turns.until(lambda: run.id not in turns.engine.runs)
    for _ in range(20):
        turns.turn()
    assert run.id not in turns.b.ids()


def test_remover_was_killed(turns: Turns):
    """What is left of a run whose remover was killed is noted when it is swept away."""
    run = turns.a.start(["echo", "words"])
    run.wait(timeout=DEADLINE)
    turns.until(lambda: not turns.agents[0].shipping.runs and run.id in turns.engine.runs)
    end_agent(turns, 0)
    gone = Path(turns.a.path, f".gone-{run.id}")
    Path(turns.a.path, run.id).rename(gone)
    os.utime(gone, (0, 0))
    LinkFile("memory:", None, "a").write(turns.a.path)
    assert list(StoreFiles(turns.a.path).ids()) == []
    assert not gone.exists()
    Path(turns.a.path, "link.json").unlink()
    begin_agent(turns, 0)
    turns.until(lambda: run.id not in turns.engine.runs)


def test_copy_has_nothing_forgotten(turns: Turns, tmp_path: Path):
    """A copy of a store, which has not the lease, has the link forget nothing of the first."""
    run = turns.a.start(["echo", "words"])
    run.wait(timeout=DEADLINE)
    turns.until(lambda: not turns.agents[0].shipping.runs and run.id in turns.engine.runs)
    shutil.copytree(turns.a.path, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock", ".supervisors"))
    remove(Store(str(tmp_path / "copy")), run.id)
    copy = agent_of(str(tmp_path / "copy"), MemoryLink(turns.engine), "a")
    turns.agents.append(copy)
    turns.until(lambda: "another store has it" in str(copy.connection._notes))
    for _ in range(20):
        turns.turn()
    assert run.id in turns.engine.runs
    end_agent(turns, 2)


def test_claim_whose_run_never_came(turns: Turns, monkeypatch: pytest.MonkeyPatch):
    """A key that was claimed for a run which never came is free again, and stubs of it go elsewhere."""
    monkeypatch.setattr(vanished, "_SECONDS", 0.0)
    turns.until(lambda: all(agent.hosts.leased for agent in turns.agents))
    run_id = new_run_id()
    request = b'{"format": 1, "id": "%s", "name": "x", "command": ["x"], "created_at": 1.0}' % run_id.encode()
    turns.agents[0].connection.link.create(run_id, request, "a", "job")
    turns.until(lambda: run_id in turns.engine.runs)

    def at_b() -> bool:
        turns.agents[1].mirrors.looked = time.monotonic()
        return run_id in turns.b.ids()

    turns.until(at_b, "a stub")
    end_agent(turns, 0)
    monkeypatch.setattr(removals, "_START_SECONDS", 0.0)  # long after that
    begin_agent(turns, 0)
    turns.until(lambda: run_id not in turns.engine.runs, "the claim is forgotten")
    again = turns.agents[0].connection.link.create(new_run_id(), request, "a", "job")
    turns.until(lambda: again.done)
    assert again.result() != run_id
    turns.until(lambda: not at_b(), "no stub")


def test_what_goes_on_is_no_claim(turns: Turns, monkeypatch: pytest.MonkeyPatch):
    """A run that goes on is not forgotten as a claim, and its stub stays, whatever is looked at."""
    monkeypatch.setattr(removals, "_START_SECONDS", 0.0)
    monkeypatch.setattr(removals, "_SWEEP_SECONDS", 0.0)
    monkeypatch.setattr(removals, "_SECONDS", 0.0)
    monkeypatch.setattr(vanished, "_SECONDS", 0.0)
    run = turns.a.start(["sleep", "600"])
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.state is State.RUNNING)
    for _ in range(100):
        turns.agents[1].mirrors.looked = time.monotonic()
        turns.turn()
    assert run.id in turns.engine.runs
    assert mirror.state is State.RUNNING
    run.kill()
