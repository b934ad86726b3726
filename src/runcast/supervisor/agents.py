"""Seeing to it that the agent of a store lives, where the store is linked to those of other hosts.

Owns how often a process looks, and how an agent is started: by a fresh interpreter that leaves at once.
Without `link.json` all of this is one look for a file. Must not know what an agent does.
"""

from __future__ import annotations

import contextlib
import time

from runcast.store.links import is_linked, read_status
from runcast.store.mirrors import agent_lock, agent_socket
from runcast.supervisor.control import ask, connect_path
from runcast.sysio.files import is_locked

__all__ = ["agent_command", "await_list", "see_to_agent"]

_EVERY = 1.0  # seconds between two looks of a process at one store
_CONNECT_SECONDS = 0.05  # an event loop may be who looks
_LIST_SECONDS, _PAUSE = 2.0, 0.02
_asked: dict[str, float] = {}
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
        if not is_locked(agent_lock(store)):  # else it begins just now, or ends
            from runcast.supervisor.launch import (
                begin_python,  # a client, which starts none, may have no limits
            )

            with contextlib.suppress(OSError):  # too many processes: the next look tries again
                begin_python(_code(store), site=True).wait()
    return True


def await_list(store: str) -> None:
    """Wait until the newest runs of other hosts are in a store whose agent has only begun; 2 s at most.

    Once in a process: from then on they are kept up to date while it looks. Nobody waits for an engine
    that is away.
    """
    if store in _listed:
        return
    _listed.add(store)
    deadline = time.monotonic() + _LIST_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        status = read_status(store)
        if status is not None and not status.up:
            return
        try:
            ask(agent_socket(store), {"op": "look"}, timeout=left)
        except OSError:  # it begins just now, or it has nothing to say in that time
            time.sleep(_PAUSE)
        else:
            return


def agent_command(store: str) -> list[str]:
    """Return the command that starts the agent of a store, and ends when it has."""
    from runcast.supervisor.launch import python_command

    return python_command(_code(store), site=True)


def _code(store: str) -> str:
    return f"os.fork() and os._exit(0); from runcast.agent.process import main; main({store!r})"
