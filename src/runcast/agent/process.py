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

from runcast.agent.agent import Agent
from runcast.errors import RuncastError
from runcast.link.opening import open_link
from runcast.store.links import LinkFile, LinkStatus, read_link
from runcast.store.mirrors import take_agent_lock
from runcast.supervisor.agents import agent_command
from runcast.supervisor.launch import environment

__all__ = ["main"]

IDLE_SECONDS = 60.0
_LOOK_SECONDS = 1.0  # between looks whether it is still needed, and still itself
_FAILED_SECONDS = 1.0
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
                env=environment(),
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

    Args:
        store: the folder.
        idle: for how many seconds there must have been nothing to do.
    """
    _detach()
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
    try:
        last = _serve(store, settings, held, keeper, idle)
    except Exception as error:  # a fault of ours: the next agent may get further
        LinkStatus(False, time.time(), f"the agent failed: {error!r}").write(store)
        time.sleep(_FAILED_SECONDS)
        raise
    if last:
        keeper.dismiss()


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


def _serve(store: str, settings: LinkFile, held: int, keeper: _Keeper, idle: float) -> bool:
    """Serve; return whether no other agent is to follow."""
    try:
        link = open_link(settings.url, prefix=settings.prefix)
    except RuncastError as error:
        LinkStatus(False, time.time(), str(error)).write(store)
        select.poll().poll(idle * 1000)  # meanwhile the lock is taken, and the reason is there to read
        return True
    agent = Agent(store, link, settings, held)
    try:
        looked = time.monotonic()
        while True:
            agent.turn()
            now = time.monotonic()
            if now - looked < _LOOK_SECONDS:
                continue
            looked = now
            keeper.look()
            if not agent.here or agent.idle_for(now) >= idle:
                return True
            if _changed(store, settings):
                return False
    finally:
        agent.close()


def _changed(store: str, settings: LinkFile) -> bool:
    try:
        return read_link(store) != settings
    except (OSError, RuncastError):
        return False
