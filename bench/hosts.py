"""Hosts on one machine: stores with an agent each, which an engine links, and what writes their runs.

All of it ends with the row. Their files are in memory, so that the disk has no part in it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TypeVar

from bench.stores import WarmStore
from runcast import Run
from runcast.run.base import files_of
from runcast.store.folder import make_store
from runcast.store.links import LinkFile
from runcast.store.mirrors import agent_lock, ask_for
from runcast.sysio.files import is_locked

__all__ = ["Host", "Process", "follower", "linked", "same_bytes", "until", "wanted", "writer"]

_PATIENCE = 120.0
_LEAVE_SECONDS = 2.0
T = TypeVar("T")


class Host:
    """A store and its agent.

    Attributes:
        warm: the store.
        path: its folder.
    """

    def __init__(self, folder: str, name: str, url: str | None, shelf: str | None) -> None:
        self.path = f"{folder}/{name}"
        os.makedirs(folder, exist_ok=True)
        make_store(self.path)
        if url is not None:
            LinkFile(url, shelf, name).write(self.path)
        self.warm = WarmStore(self.path)
        self.store = self.warm.store

    def agent(self) -> int:
        """Return the process id of its agent, which is started if there is none."""
        path = agent_lock(self.path)

        def found() -> int:
            self.store.ids(1)
            return int(Path(path).read_text() or 0) if is_locked(path) else 0

        return until(found, "an agent")

    def has(self, run_id: str) -> Run:
        """Return a run of another host, once it is in the list here."""
        until(lambda: os.path.isdir(f"{self.path}/{run_id}") or not self.store.ids(1), f"run {run_id}")
        return Run(f"{self.path}/{run_id}")

    def end(self) -> None:
        """End its agent, its forkserver and its supervisors."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.path}/link.json")
            until(lambda: not is_locked(agent_lock(self.path)), "the end of an agent")
        self.warm.end()


@contextlib.contextmanager
def linked(folder: str, url: str | None, names: str = "ab", shelf: str | None = None) -> Iterator[list[Host]]:
    """Give hosts with these names, which an engine links; without one stores of their own."""
    with contextlib.ExitStack() as stack:
        hosts = []
        for name in names:
            hosts.append(Host(folder, name, url, shelf))
            stack.callback(hosts[-1].end)
        yield hosts


class Process:
    """A process that hears and says lines.

    Attributes:
        pid: its process id.
    """

    def __init__(self, pid: int, stdin: IO[str], stdout: IO[str]) -> None:
        self.pid = pid
        self._stdin, self._stdout = stdin, stdout

    def ask(self, *words: object) -> list[str]:
        """Have it do something, and return what it answers."""
        self.tell(*words)
        return self.answer()

    def tell(self, *words: object) -> None:
        """Have it do something, without waiting for that."""
        print(*words, file=self._stdin, flush=True)

    def answer(self) -> list[str]:
        """Return its next answer."""
        said = self._stdout.readline()
        assert said, "expected a process of the benchmark to live"
        return said.split()


def writer(store: str) -> AbstractContextManager[Process]:
    """Give a process that writes many runs of a store, see `bench.peers.many`."""
    return _process("many", store)


def follower(seconds: float, paths: Iterable[str]) -> AbstractContextManager[Process]:
    """Give a process that follows runs, see `bench.peers.follow`."""
    return _process("follow", str(seconds), *paths)


@contextlib.contextmanager
def _process(name: str, *arguments: str) -> Iterator[Process]:
    command = [sys.executable, "-m", f"bench.peers.{name}", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Process(process.pid, process.stdin, process.stdout)
        finally:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LEAVE_SECONDS)
            process.terminate()


def until(check: Callable[[], T], what: str, pause: float = 0.01) -> T:
    """Wait until a check holds, and return what it returned.

    Raises:
        TimeoutError: it never did.
    """
    deadline = time.monotonic() + _PATIENCE
    while not (found := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {what} within {_PATIENCE:g} s")
        time.sleep(pause)
    return found


def wanted(host: Host, ids: Iterable[str]) -> int:
    """Have runs brought to a host, and return how many bytes of them it has."""
    size = 0
    for run_id in ids:
        ask_for(f"{host.path}/{run_id}", 0)
        log = Path(host.path, run_id, "log")
        size += sum(one.stat().st_size for one in log.iterdir() if not one.suffix)
    return size


def same_bytes(run: Run, mirror: Run) -> None:
    """Refuse a mirror that has other bytes, records or another outcome than the run.

    Raises:
        AssertionError: with what differs.
    """
    until(lambda: mirror.closed, f"the end of run {mirror.id} here")
    for suffix in ("", ".index"):
        assert _bytes(mirror, suffix) == _bytes(run, suffix), f"run {run.id} is another one here: {suffix}"
    assert mirror.outcome == run.outcome, f"run {run.id} has another outcome here"


def _bytes(run: Run, suffix: str) -> bytes:
    folder = Path(files_of(run).log_path)
    head = 32 if suffix else 0  # of an index
    return b"".join(one.read_bytes()[head:] for one in sorted(folder.iterdir()) if one.suffix == suffix)
