"""Stores for tests: whatever was started in one is gone when the test is.

A forkserver outlives the process that wanted it, by a minute, and a run outlives everybody. So a
test that starts runs does it in a `temporary_store` (or the fixture `store`), which ends them
all, each by its own pid, and returns only when the last one is dead. Where tests share a server
they share its store, too, and each leaves it empty.
"""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from runcast import Run, Store
from runcast.durable import FileStreams
from runcast.errors import RuncastError
from tests.helpers.wait import MS, wait_until


@contextlib.contextmanager
def temporary_store(path: Path) -> Iterator[Store]:
    """Give the store at `path`; at the end kill its runs, what they left, and its supervisors."""
    try:
        yield Store(str(path))
    finally:
        end_store(path)


def keeper_of_a_secret(store: Store) -> Run:
    """Return a run that has printed `secret`, and goes on."""
    run = store.start(["sh", "-c", "echo secret; exec sleep 600"])
    assert next(iter(run.lines(timeout=15000 * MS))) == "secret"
    return run


def end_store(path: Path) -> None:
    """Kill every run of a store, whatever they left behind, and the store's supervisors."""
    ids = set()
    for run in Store(str(path)).list():
        ids.add(run.id)
        with contextlib.suppress(RuncastError):  # over already, or lost: then it is settled
            run.kill()
        with contextlib.suppress(RuncastError):
            run.wait(timeout=5000 * MS)
    if os.path.isdir(path):
        # Again and again: a forkserver replaces the supervisors that die before it does.
        wait_until(lambda: not _kill(supervisors(path) + _leftovers(ids)), what=f"the end of all in {path}")


def empty_store(store: Store) -> None:
    """Remove all runs of a store, which end before, and all its streams; its supervisors and servers stay."""
    ids = set()
    for run in store.list():
        ids.add(run.id)
        with contextlib.suppress(RuncastError):  # over already
            run.kill()
        run.wait(timeout=5000 * MS)
        store.remove(run)
    _kill(_leftovers(ids))
    streams = FileStreams(store.path)
    for name in list(streams.names()):
        streams.delete(name)
    streams.close()


def supervisors(path: Path) -> list[int]:
    """Return the processes that serve a store: its forkservers first, then the supervisors."""
    named = f"forkserver import main; main({str(path)!r}, ".encode()
    found = [pid for pid in _pids() if named in _read(pid, "cmdline")]
    return sorted(found, key=lambda pid: (_parent(pid) in found, pid))


def _leftovers(ids: set[str]) -> list[int]:
    """Return the processes whose environment says that they belong to one of these runs."""
    marks = {f"RUNCAST_RUN_ID={run_id}".encode() for run_id in ids}
    if not marks:
        return []
    return [pid for pid in _pids() if not marks.isdisjoint(_read(pid, "environ").split(b"\0"))]


def _kill(pids: list[int]) -> list[int]:
    """Kill these processes, wait until they are dead, and return which there were."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                select.select([fd], [], [], 5000 * MS)
            finally:
                os.close(fd)
    return pids


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _read(pid: int, name: str) -> bytes:
    """Return a file of a process; nothing of one that is gone, a zombie, or somebody else's.

    Not by `Path`: this is done for each process of the machine, twice at the end of most tests.
    """
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    except OSError:
        return b""
    parts = []
    try:
        while part := os.read(fd, 65536):
            parts.append(part)
    except OSError:
        return b""
    finally:
        os.close(fd)
    return b"".join(parts)


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0
