"""Runs whose supervisor was killed, and what was left of them, wherever they are looked at from."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from runcast import Run, Store
from runcast.run.base import files_of
from runcast.store.run_folder import STATE_BYTES
from tests.helpers.children import supervisor_of
from tests.helpers.stores import supervisors
from tests.helpers.wait import MS, wait_until

CLEARED = "env -i setsid sleep 600 & env -i sleep 600 & echo ready; wait"
"""A shell that leaves two processes whose environment says nothing: one of its session, one of another."""


def alive(pid: int) -> bool:
    """Return whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def command_name(pid: int) -> str:
    """Return the name of the program in a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for one in found:
        tasks = Path(f"/proc/{one}/task/{one}/children")
        found += [int(text) for text in tasks.read_text().split()] if tasks.exists() else []
    return found


def started(store: Store, script: str, count: int) -> tuple[Run, list[int]]:
    """Start a shell and return the run with its processes, as soon as there are so many of them.

    Until it has become `sleep`, a process that will have an empty environment has the shell's.
    """
    run = store.start(["sh", "-c", script])
    pid = run.pid
    assert pid is not None
    wait_until(lambda: len(descendants(pid)) >= count and run.tail_offset > 0, 10000 * MS)
    sleeps = script.count("sleep ")
    wait_until(lambda: list(map(command_name, descendants(pid))).count("sleep") >= sleeps, 10000 * MS)
    return run, descendants(pid)


def orphan(run: Run) -> None:
    """Kill the forkserver of a run's store and its supervisor: the next reader recovers the run."""
    supervisor = supervisor_of(run)
    for pid in supervisors(Path(files_of(run).path).parent):  # the forkserver first
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: not alive(supervisor) and not files_of(run).held, 10000 * MS)


def edit_origin(path: str | Path, **values: Any) -> None:
    """Have a run's folder say that it was started somewhere else."""
    file = Path(path) / "run.json"
    asked = json.loads(file.read_text())
    file.write_text(json.dumps(asked | {"origin": asked["origin"] | values}))


def edit_state(path: str | Path, **values: Any) -> None:
    """Change what a run's folder has recorded of the processes of the run."""
    lock = Path(path) / "lock"
    data = lock.read_bytes()
    state = json.loads(data[:STATE_BYTES]) | values
    lock.write_bytes(json.dumps(state).encode().ljust(STATE_BYTES - 1) + b"\n" + data[STATE_BYTES:])


def end(pids: list[int]) -> None:
    """Kill what a test has left on purpose."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
