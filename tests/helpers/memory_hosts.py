"""Hosts in one thread: agents of stores of their own, which take turns, and an engine in memory.

Their runs are real, with supervisors of their own; so are the files. What a link does wrong, a test chooses.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from runcast import Run, Store
from runcast.agent.agent import Agent
from runcast.link import Link
from runcast.link.memory import MemoryEngine, MemoryLink
from runcast.store.folder import make_store
from runcast.store.links import LinkFile
from runcast.store.mirrors import take_agent_lock
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS

__all__ = ["Turns", "agent_of", "hosts"]

_PATIENCE = 15000 * MS
T = TypeVar("T")


def agent_of(store: str, link: Link, host: str, lost_after: float = 120.0, shelf: str | None = None) -> Agent:
    """Return the agent of a store, which is a host."""
    make_store(store)
    held = take_agent_lock(store)
    assert held is not None
    return Agent(store, link, LinkFile("memory:", shelf, host, lost_after), held)


class Turns:
    """Two hosts, `a` and `b`.

    Attributes:
        agents: those that take turns.
        a: the store of the first.
        b: that of the second.
        engine: between them.
    """

    def __init__(self, a: Store, b: Store, engine: MemoryEngine, agents: list[Agent]) -> None:
        self.a, self.b, self.engine, self.agents = a, b, engine, agents

    def until(self, predicate: Callable[[], T], what: str = "") -> T:
        """Let the agents take turns until something is true; return that."""
        deadline = time.monotonic() + _PATIENCE
        while not (value := predicate()):
            assert time.monotonic() < deadline, what or predicate
            self.turn()
        return value

    def turn(self) -> None:
        """Let each agent have a turn."""
        for agent in self.agents:
            agent.turn(0.001)

    def mirror(self, run: Run) -> Run:
        """Return a run of the first host as the second has it, a stub at first."""

        def made() -> bool:
            self.agents[1].mirrors.looked = time.monotonic()
            return run.id in self.b.ids()

        self.until(made, "a stub")
        return Run(f"{self.b.path}/{run.id}")

    def whole(self, run: Run) -> Run:
        """Return a run of the first host as the second has it, with all of its log."""
        mirror = self.mirror(run)

        def closed() -> bool:
            self.agents[1].mirrors.want(run.id, time.monotonic())
            return mirror.closed

        self.until(closed, "all of it")
        return mirror


@contextlib.contextmanager
def hosts(folder: Path, wrap: Callable[[Link], Link] = lambda link: link, **options: Any) -> Iterator[Turns]:
    """Give two hosts; `wrap` gets their links."""
    engine = MemoryEngine()
    with temporary_store(folder / "a") as a, temporary_store(folder / "b") as b:
        agents = [
            agent_of(one.path, wrap(MemoryLink(engine)), name, **options)
            for one, name in ((a, "a"), (b, "b"))
        ]
        try:
            yield Turns(a, b, engine, agents)
        finally:
            for agent in agents:
                agent.close()
                os.close(agent._lock_fd)
