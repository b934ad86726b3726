"""Runs whose supervisor was killed, and what was left of them, wherever they are looked at from."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, Store
from runcast.log.directory import STATE_BYTES
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


def descendants(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for one in found:
        tasks = Path(f"/proc/{one}/task/{one}/children")
        found += [int(text) for text in tasks.read_text().split()] if tasks.exists() else []
    return found


def started(store: Store, script: str, count: int) -> tuple[Run, list[int]]:
    """Start a shell and return the run with its processes, as soon as there are so many of them."""
    run = store.start(["sh", "-c", script])
    pid = run.pid
    assert pid is not None
    wait_until(lambda: len(descendants(pid)) >= count and run.tail_offset > 0, 10000 * MS)
    return run, descendants(pid)


def orphan(run: Run) -> None:
    """Kill the forkserver of a run's store and its supervisor: it is settled by whoever looks at it."""
    supervisor = supervisor_of(run)
    for pid in supervisors(Path(run.directory.path).parent):  # the forkserver first
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: not alive(supervisor) and not run.directory.held, 10000 * MS)


def edit_origin(path: str | Path, **values: Any) -> None:
    """Have a run's folder say that it was started somewhere else."""
    file = Path(path) / "run.json"
    asked = json.loads(file.read_text())
    file.write_text(json.dumps(asked | {"origin": asked["origin"] | values}))


def edit_state(path: str | Path, **values: Any) -> None:
    """Have a run's folder tell something else of the processes of the run."""
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


def inside(*options: str) -> list[str]:
    """Return what runs a program in namespaces of its own; skip the test where that is not allowed."""
    command = ["unshare", *options] if os.geteuid() == 0 else ["unshare", "--map-root-user", *options]
    try:
        tried = subprocess.run([*command, "true"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs unshare (util-linux)")
    if tried.returncode:
        pytest.skip(f"needs namespaces: {tried.stderr.decode().strip()}")
    return command
