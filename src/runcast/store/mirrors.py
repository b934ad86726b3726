"""Runs of other hosts in this store, and the agent of the store, which brings what is not on this disk.

    <run-id>/mirror            of a mirror: an object with `host`, the name of the host whose run it is, and
                               `inode`, the folder's own; written before the folder gets its name
    .owners/agent, agent.sock  the agent's lock, which it holds while it lives, and its control socket

A mirror has the files of the run, byte for byte. While the agent lives it owns its mirrors (run_folder.py):
`owner` in their locks is `AGENT`. A mirror without an agent is neither lost nor over: its host alone knows.
What a reader needs of a log and does not find here, it asks the agent for, in a mirror as in a run of this
store's own. Must not know what an agent does, or how long a reader waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from runcast.errors import FileDamaged
from runcast.json_objects import parse_object, read_json
from runcast.store.contents import AGENT
from runcast.store.run_folder import OWNERS
from runcast.sysio.files import create, folder, is_at
from runcast.sysio.locks import lock
from runcast.sysio.writes import write_new

__all__ = [
    *(
        "AGENT",
        "MIRROR",
        "agent_lock",
        "agent_socket",
        "ask_for",
        "ask_for_file",
        "is_copied",
        "mark_mirror",
        "mirror_of",
        "on_unheard",
    ),
    "take_agent_lock",
]

MIRROR = "mirror"
_unheard: list[Callable[[str], object]] = []
_TRIES, _TRY_SECONDS = 10, 0.001
_TELL_SECONDS = 0.05  # an event loop may be who tells; it will tell again


def agent_lock(store: str) -> str:
    """Return the path of the lock that the agent of a store holds."""
    return f"{store}/{OWNERS}/{AGENT}"


def take_agent_lock(store: str) -> int | None:
    """Take the lock of a store's agent, for this process; None if another has it.

    Raises:
        OSError: the store cannot be written to.
    """
    path = agent_lock(store)
    folder(os.path.dirname(path), make=True)
    while True:
        held = create(path, os.O_RDWR)
        if not _take(held):
            os.close(held)
            return None
        if is_at(path, held):  # else it was swept before it was locked
            with contextlib.suppress(OSError):  # a full disk: it is for people only
                os.ftruncate(held, 0)
                os.pwrite(held, b"%d\n" % os.getpid(), 0)
            return held
        os.close(held)


def _take(fd: int) -> bool:
    """Take a lock. Who looks whether it is free holds it shared for a moment: that is no agent."""
    for _ in range(_TRIES):
        if lock(fd, wait=False):
            return True
        time.sleep(_TRY_SECONDS)
    return False


def agent_socket(store: str) -> str:
    """Return the path of the socket at which the agent of a store listens."""
    return f"{store}/{OWNERS}/{AGENT}.sock"


def mark_mirror(path: str, host: str) -> None:
    """Mark a run's folder, before it gets its name, as the mirror of a run of another host.

    Raises:
        FileExistsError: it is marked.
    """
    mark = {"host": host, "inode": os.stat(path).st_ino}
    write_new(f"{path}/{MIRROR}", json.dumps(mark).encode())


def is_copied(path: str) -> bool:
    """Return whether the folder of a mirror is a copy of the one that was marked."""
    try:
        inode = read_json(f"{path}/{MIRROR}").get("inode")
        return inode is not None and inode != os.stat(path).st_ino
    except (OSError, FileDamaged):
        return False


def mirror_of(path: str) -> str | None:
    """Return the name of the host whose run a folder mirrors; None where it is a run of this store's own."""
    try:
        return str(read_json(f"{path}/{MIRROR}").get("host", "another host"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, FileDamaged):  # it is a mirror all the same
        return "another host"


def ask_for(path: str, offset: int) -> bool:
    """Ask the agent for the segment of a run's log that begins at an offset; return whether it heard that.

    The request is the one that lazy generators get, `{"op": "want", "run": …, "offset": …}`, without an
    answer: what comes is seen in the folder of the log.
    """
    from runcast.sysio.unix_sockets import connect_path  # late: most logs are all here

    store, run_id = os.path.split(path)
    request = {"op": "want", "run": run_id, "offset": offset, "answer": False}
    with contextlib.suppress(OSError), connect_path(agent_socket(store), _TELL_SECONDS) as connection:
        connection.sendall(json.dumps(request).encode() + b"\n")
        return True
    for call in _unheard:
        call(store)
    return False


def ask_for_file(path: str, number: int) -> dict[str, Any] | None:
    """Ask the agent for a file that is kept with another host's run, and how far that is.

    Returns:
        An object with `bytes`, how many have come; or with `error`, why it cannot be had; None if the agent
        does not hear.
    """
    from runcast.sysio.unix_sockets import connect_path  # late: most files are all here

    store, run_id = os.path.split(path)
    request = {"op": "file", "run": run_id, "number": number}
    with contextlib.suppress(OSError, ValueError), connect_path(agent_socket(store), _TELL_SECONDS) as end:
        end.settimeout(_TELL_SECONDS)
        end.sendall(json.dumps(request).encode() + b"\n")
        with end.makefile("rb") as answers:
            return parse_object(answers.readline())
    for call in _unheard:
        call(store)
    return None


def on_unheard(call: Callable[[str], object]) -> None:
    """Have `call` called with the store of an agent that does not hear: it may be able to start one."""
    if call not in _unheard:
        _unheard.append(call)
