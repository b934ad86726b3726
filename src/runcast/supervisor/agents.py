"""Seeing to it that the agent of a store lives, where the store is linked to those of other hosts.

Owns how often a process looks, and how an agent is started: by a fresh interpreter that leaves at once.
Without `link.json` all of this is one look for a file. Must not know what an agent does.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from runcast.loaded import loaded
from runcast.store.links import is_linked, is_shared, read_status, status_time
from runcast.store.mirrors import agent_lock, agent_socket
from runcast.store.sharing import LinkState, cannot_share
from runcast.supervisor.control import ask, connect_path
from runcast.sysio.files import is_locked

__all__ = ["agent_command", "ask_agent", "await_list", "link_state", "may_wait", "see_to_agent"]

_EVERY = 1.0  # seconds between two looks of a process at one store
_CONNECT_SECONDS = 0.05  # an event loop may be who looks
_LIST_SECONDS, _PAUSE = 2.0, 0.02
_STATUS_SECONDS = 1.0
_LOOK_SECONDS, _LOOP_SECONDS = 3.0, 0.3  # for an answer; the same in an event loop
_CLOCK_SECONDS = 0.02  # by which times of files are behind the clock
_LONGEST = 60.0  # seconds between two starts of agents that nobody ever hears of
_asked: dict[str, float] = {}  # when a process looked last, or when it did not find one, later
_starts: dict[str, int] = {}  # agents that this process has started, since it last reached one
_listed: set[str] = set()  # stores for whose agent this process has waited


def see_to_agent(store: str) -> bool:
    """Have the agent of a store live, and know that somebody looks; return whether the store is linked."""
    if not is_linked(store):
        return False
    now = time.monotonic()
    if now - _asked.get(store, float("-inf")) < _EVERY:
        return True
    _asked[store] = now
    try:
        with connect_path(agent_socket(store), _CONNECT_SECONDS) as connection:
            connection.sendall(b'{"op": "look", "answer": false}\n')
    except OSError:
        if is_locked(agent_lock(store)):
            pass  # it begins just now, or ends
        elif cannot_share(store) is None:
            from runcast.supervisor.launch import (
                begin_python,  # a client, which starts none, may have no limits
            )

            _starts[store] = starts = _starts.get(store, 0) + 1
            _asked[store] = now + min(2.0 ** (starts - 1), _LONGEST) - _EVERY
            with contextlib.suppress(OSError):  # too many processes: the next look tries again
                begin_python(_code(store), site=True).wait()
    else:
        _starts.pop(store, None)
    return True


def await_list(store: str) -> None:
    """Wait until the newest runs of other hosts are in a store whose agent may have only begun; 2 s at most.

    Once in a process: from then on they are kept up to date while it looks. The agent answers at once where
    the engine is away. What `.link.json` says counts only where no agent can be reached, and if it says so
    since that one began, or since now: an older one tells nothing of the engine.
    """
    if store in _listed or not is_shared(store):
        return
    _listed.add(store)
    begun, deadline = time.time(), time.monotonic() + _LIST_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            ask(agent_socket(store), {"op": "look"}, timeout=left)
            return
        except OSError:  # it begins just now, or it has nothing to say in that time
            status = read_status(store)
            if status is not None and not status.up and _is_of_now(store, begun):
                return
            if cannot_share(store) is not None:
                return
            time.sleep(_PAUSE)


def _is_of_now(store: str, begun: float) -> bool:
    """Return whether the agent that there is, or was after a time, wrote the status."""
    written = status_time(store)
    with contextlib.suppress(OSError):
        if is_locked(agent_lock(store)):
            return written >= os.stat(agent_lock(store)).st_mtime
    return written >= begun - _CLOCK_SECONDS


def link_state(store: str) -> LinkState | None:
    """Return how the link of a store is, in numbers; None where it is shared with nobody."""
    if not see_to_agent(store) or not is_shared(store):
        return None
    status = read_status(store)
    unshipped = None
    with contextlib.suppress(OSError, ValueError, KeyError):  # no agent, or it is busy
        unshipped = int(ask(agent_socket(store), {"op": "status"}, timeout=_STATUS_SECONDS)["unshipped"])
    return LinkState(status is not None and status.up, 0 if status is None else len(status.silent), unshipped)


def ask_agent(store: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of the agent of a store, which may only begin; empty for none.

    In an event loop it waits little.
    """
    seconds = _LOOK_SECONDS if may_wait() else _LOOP_SECONDS
    deadline = time.monotonic() + seconds
    while True:
        answer: dict[str, Any] = {}
        with contextlib.suppress(OSError):
            answer = ask(agent_socket(store), request, timeout=seconds)
        begins = not answer or answer.get("again")
        if not begins or time.monotonic() >= deadline or cannot_share(store) is not None:
            return answer
        see_to_agent(store)
        time.sleep(_PAUSE)


def may_wait() -> bool:
    """Return whether others do not wait for this thread, as those of an event loop do."""
    if loaded("asyncio") is None:
        return True
    from runcast.own_thread import in_event_loop  # not in a forkserver: it loads threading

    return not in_event_loop()


def agent_command(store: str) -> list[str]:
    """Return the command that starts the agent of a store, and ends when it has."""
    from runcast.supervisor.launch import python_command

    return python_command(_code(store), site=True)


def _code(store: str) -> str:
    return f"os.fork() and os._exit(0); from runcast.agent.process import main; main({store!r})"
