"""What became of a run's hooks is seen on every host, while it becomes and afterwards."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from runcast import Run
from runcast.link.memory import MemoryLink
from runcast.run.base import files_of
from runcast.store.end_hooks import FILE
from tests.helpers.memory_hosts import Turns, agent_of
from tests.helpers.wait import MS, wait_until

DEADLINE = 15000 * MS

pytestmark = pytest.mark.slow


def seen(turns: Turns, mirror: Run, state: str) -> bool:
    """Return whether the second host, where somebody looks, has a hook in a state."""
    turns.agents[1].mirrors.looked = time.monotonic()
    return [hook["state"] for hook in mirror.hooks] == [state]


@pytest.mark.parametrize("read", [False, True])
def test_results_elsewhere(turns: Turns, tmp_path: Path, read: bool):
    """A hook that waits is done, and one that fails says so, on another host as on its own."""
    gate = f"while ! test -e {tmp_path}/go; do sleep 0.02; done"
    good = turns.a.start(["true"], on_end=[{"command": ["sh", "-c", gate]}])
    bad = turns.a.start(["true"], on_end=[{"command": ["sh", "-c", f"{gate}; echo no >&2; exit 3"]}])
    for run in (good, bad):
        run.wait(timeout=DEADLINE)
    mirrors = [turns.whole(run) if read else turns.mirror(run) for run in (good, bad)]
    for mirror in mirrors:
        turns.until(lambda mirror=mirror: mirror.outcome and seen(turns, mirror, "waiting"))  # type: ignore[misc]
    (tmp_path / "go").touch()
    turns.until(lambda: seen(turns, mirrors[0], "delivered"), "what became of it")
    turns.until(lambda: seen(turns, mirrors[1], "failed"), "what became of it")

    assert [mirror.hooks for mirror in mirrors] == [run.hooks for run in (good, bad)]
    assert mirrors[1].hooks[0]["code"] == 3
    turns.until(lambda: not turns.agents[0].shipping.runs, "nothing is left to tell")


def test_agents_that_begin_later(turns: Turns, tmp_path: Path):
    """Agents that begin while a hook is done have what becomes of it, on both sides."""
    gate = f"while ! test -e {tmp_path}/go; do sleep 0.02; done"
    run = turns.a.start(["true"], on_end=[{"command": ["sh", "-c", gate]}])
    run.wait(timeout=DEADLINE)
    mirror = turns.whole(run)
    turns.until(lambda: seen(turns, mirror, "waiting"))
    for number, store in enumerate((turns.a, turns.b)):
        agent = turns.agents[number]
        agent.close()
        os.close(agent._lock_fd)
        turns.agents[number] = agent_of(store.path, MemoryLink(turns.engine), "ab"[number])
    (tmp_path / "go").touch()
    turns.until(lambda: seen(turns, mirror, "delivered"))
    assert mirror.hooks == run.hooks


def test_helper_that_died(turns: Turns):
    """A hook whose process died is interrupted for all hosts; only the run's own can see that."""
    run = turns.a.start(["true"], on_end=[{"command": ["sleep", "600"]}])
    run.wait(timeout=DEADLINE)
    mirror = turns.mirror(run)
    notes = Path(files_of(run).path, FILE)
    pid = wait_until(lambda: notes.exists() and notes.read_bytes() and _pid(notes), DEADLINE)
    turns.until(lambda: seen(turns, mirror, "waiting"))
    program = wait_until(lambda: _children(pid), DEADLINE, "its program")
    for one in (pid, *program):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    turns.until(lambda: seen(turns, mirror, "interrupted"))
    assert mirror.hooks == run.hooks


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text().split()]


def _pid(notes: Path) -> int:
    return int(json.loads(notes.read_text().splitlines()[0])["pid"])
