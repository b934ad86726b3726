"""Hosts that share runs: on one machine, each is a store of its own with an agent of its own."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from runcast import Run, Store
from runcast.model import Channel
from runcast.run.base import files_of
from runcast.store.folder import make_store
from runcast.store.links import LinkFile
from runcast.store.mirrors import agent_lock
from runcast.sysio.files import is_locked
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until

__all__ = ["Host", "agent_of", "files", "linked_hosts", "same"]

PATIENCE = 20000 * MS


class Host:
    """A store that is linked to others.

    Attributes:
        name: of the host, at the link.
        store: its store.
    """

    def __init__(self, name: str, store: Store, url: str, prefix: str, lost_after: float = 120.0) -> None:
        self.name, self.store = name, store
        make_store(store.path)
        self.settings = LinkFile(url, None, name, lost_after, prefix)
        self.settings.write(store.path)

    @property
    def agent(self) -> int | None:
        """The process id of its agent; None while there is none."""
        return agent_of(self.store)

    def begin(self) -> int:
        """Have its agent live; return its process id."""
        return wait_until(lambda: self.store.ids(1) is not None and self.agent, PATIENCE, "an agent")  # type: ignore[return-value]

    def kill(self) -> None:
        """Kill its agent, if there is one."""
        if (pid := self.agent) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def has(self, run: Run) -> bool:
        """Return whether the run is in its list."""
        return run.id in self.store.ids()

    def get(self, run: Run) -> Run:
        """Return the run as this host has it."""
        wait_until(lambda: self.has(run), PATIENCE, f"{run.id} at {self.name}")
        return Run(f"{self.store.path}/{run.id}")

    def end(self) -> None:
        """End its agent, for good."""
        os.unlink(f"{self.store.path}/link.json")
        wait_until(lambda: self.agent is None, PATIENCE, f"the end of the agent of {self.name}")


def agent_of(store: Store) -> int | None:
    """Return the process id of a store's agent; None while there is none, or it has not said so yet."""
    path = agent_lock(store.path)
    if is_locked(path):
        with contextlib.suppress(ValueError):
            return int(Path(path).read_text())
    return None


@contextlib.contextmanager
def linked_hosts(
    folder: Path, url: str, prefix: str, names: str = "ab", lost_after: float = 120.0
) -> Iterator[list[Host]]:
    """Give hosts with these names, linked through an engine; all of them end with the context."""
    with contextlib.ExitStack() as stack:
        hosts = []
        for name in names:
            store = stack.enter_context(temporary_store(folder / name))
            host = Host(name, store, url, prefix, lost_after)
            stack.callback(host.end)
            hosts.append(host)
        yield hosts


def files(run: Run, suffix: str = "") -> bytes:
    """Return the bytes of a run's log, or with `.index` the records, as they are on the disk, in order."""
    folder = Path(files_of(run).path, "log")
    found = sorted(path for path in folder.iterdir() if path.suffix == suffix)
    return b"".join(path.read_bytes()[32 if suffix else 0 :] for path in found)


def same(run: Run, mirror: Run) -> None:
    """Check that a mirror has the bytes, the index and the outcome of the run."""
    assert mirror.closed
    assert files(mirror) == files(run)
    assert files(mirror, ".index") == files(run, ".index")
    for name in ("outcome.json", "run.json"):
        assert Path(files_of(mirror).path, name).read_bytes() == Path(files_of(run).path, name).read_bytes()
    assert (mirror.tail_offset, mirror.state) == (run.tail_offset, run.state)
    assert mirror.log().lines == run.log().lines
    assert list(_labels(mirror)) == list(_labels(run))


def _labels(run: Run) -> Iterator[tuple[int, Channel, float]]:
    """Yield where another channel or time begins."""
    log, offset, last = run.log(), 0, None
    while (reading := log.read(offset)).next > offset:
        offset = reading.next
        for chunk in reading.chunks:
            if (chunk.channel, chunk.time) != last:
                last = chunk.channel, chunk.time
                yield chunk.offset, *last
