"""The process of an agent: detached, one per store, found by its lock; ended when there is nothing to do.

Owns its lock, and its keeper: a shell that waits for the end of the agent, and starts another one unless
the agent has said that it is leaving. The agent in turn starts a keeper where it has none. So whichever
of the two is killed is there again in a moment, even where nobody looks at the store.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from runcast.agent.agent import Agent
from runcast.errors import RuncastError
from runcast.link.opening import open_link
from runcast.store.links import LinkFile, LinkStatus, read_link
from runcast.store.mirrors import agent_lock, take_agent_lock
from runcast.supervisor.agents import agent_command
from runcast.supervisor.launch import environment
from runcast.sysio.files import is_at

if TYPE_CHECKING:
    from runcast.agent.solo import ShelfAgent

__all__ = ["main"]

IDLE_SECONDS = 60.0
_LOOK_SECONDS = 1.0  # between looks whether it is still needed, and still itself
_FAILED_SECONDS, _LONGEST_FAILED = 1.0, 60.0  # between two tries of one that failed
_LAST_SECONDS = 5.0  # for runs that are ended at the same moment
_NICE = 5
_WAIT = 'read -r word || exec "$@"'


class _Keeper:
    """The shell that starts another agent when this one dies."""

    def __init__(self, store: str) -> None:
        self._command = ["/bin/sh", "-c", _WAIT, "runcast agent", *agent_command(store)]
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start it, unless it lives."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            with contextlib.suppress(OSError):
                self._pipe().close()
            self._process = None
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=environment(site=True),
                start_new_session=True,
            )

    def dismiss(self) -> None:
        """Have it end: the agent is not needed any more."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._pipe().write(b"leaving\n")
                self._pipe().close()
            self._process.wait()

    def _pipe(self) -> subprocess.IO[bytes]:  # type: ignore[name-defined]
        assert self._process is not None
        assert self._process.stdin is not None
        return self._process.stdin


def main(store: str, idle: float = IDLE_SECONDS) -> None:
    """Be the agent of a store, unless there is one; return when it is not needed any more.

    SIGTERM ends it, once the outcomes of runs that end at the same moment are at the link; a machine that is
    shut down ends processes in any order. A fault of ours is said where people look, and tried again by this
    process, later each time.

    Args:
        store: the folder.
        idle: for how many seconds there must have been nothing to do.
    """
    _detach()
    end = _End()
    try:
        settings = read_link(store)
        held = None if settings is None else take_agent_lock(store)
    except (OSError, RuncastError) as error:
        LinkStatus(False, time.time(), str(error)).write(store)
        return
    if settings is None or held is None:
        return
    keeper = _Keeper(store)
    keeper.look()
    pause = _FAILED_SECONDS
    while True:
        begun = time.monotonic()
        try:
            agent = _serve(store, settings, held, keeper, end, idle)
            break
        except Exception as error:
            LinkStatus(False, time.time(), f"the agent failed: {_said(error)}").write(store)
            if time.monotonic() - begun > _LONGEST_FAILED:
                pause = _FAILED_SECONDS
            if not _rest(store, settings, held, keeper, end, pause):
                agent = None
                break
            pause = min(2 * pause, _LONGEST_FAILED)
    changed = _changed(store, settings)
    os.close(held)  # who starts a run and still finds this agent did so before: that run is seen now
    if not changed and not (agent is not None and agent.unshared and not end.due):
        keeper.dismiss()


class _End:
    """Whether, and since when, this process is to end by SIGTERM."""

    def __init__(self) -> None:
        self.since: float | None = None
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _number: int, _frame: object) -> None:
        self.since = self.since or time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is to end."""
        return self.since is not None

    def over(self, now: float) -> bool:
        """Return whether it has been for so long that nothing is waited for any more."""
        return self.since is not None and now - self.since >= _LAST_SECONDS


def _said(error: Exception) -> str:
    """Return an error in words: what is wrong with the machine, or else where our fault is."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return repr(error)


def _rest(store: str, settings: LinkFile, held: int, keeper: _Keeper, end: _End, seconds: float) -> bool:
    """Wait for so many seconds; return whether the agent is still needed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        select.poll().poll(min(seconds, _LOOK_SECONDS) * 1000)
        keeper.look()
        if end.due or not is_at(agent_lock(store), held) or _changed(store, settings):
            return False
    return True


def _detach() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setsid()
    with contextlib.suppress(OSError):
        os.nice(_NICE)  # a run's own work comes first
    with contextlib.suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _serve(
    store: str, settings: LinkFile, held: int, keeper: _Keeper, end: _End, idle: float
) -> Agent | ShelfAgent | None:
    """Serve until nothing is left to do; return the agent, closed, or None if it never was one."""
    agent: Agent | ShelfAgent
    try:
        if settings.url or settings.shelf is None:
            agent = Agent(store, open_link(settings.url, prefix=settings.prefix), settings, held)
        else:
            from runcast.agent.solo import ShelfAgent  # loads what a shelf needs

            agent = ShelfAgent(store, settings.shelf, held)
    except RuncastError as error:
        LinkStatus(False, time.time(), str(error)).write(store)
        _rest(store, settings, held, keeper, end, idle)  # the lock is taken, and the reason there to read
        return None
    try:
        looked = time.monotonic()
        while True:
            agent.turn()
            now = time.monotonic()
            if end.due and (agent.all_shipped or end.over(now)):
                return agent
            if now - looked < _LOOK_SECONDS:
                continue
            looked = now
            keeper.look()
            if not agent.here or _changed(store, settings):
                return agent
            if agent.idle_for(now) >= idle and not agent.unshared:
                agent.stop_listening()
                return agent
    finally:
        agent.close()


def _changed(store: str, settings: LinkFile) -> bool:
    try:
        return read_link(store) != settings
    except (OSError, RuncastError):
        return False
