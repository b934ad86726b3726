"""Begin the hooks of a run that is over: start the helper process that does them.

Owns how that is detached: it is nobody's child, in a session of its own, with default signals, and gets
the hooks in memory, since `run.json` of a masked run does not have all of them. Called where a run ends:
in its supervisor, in the process that it ran in, or in the one that settled a lost run. What the helper
does is the room hooks', which nothing here may import.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from runcast import loggers
from runcast.sysio.files import read_kernel

__all__ = ["Hooks", "begin_apart", "begin_hooks", "hooks_of", "is_helper"]

Hooks = Sequence[Mapping[str, Any]]

HOOKS_FD = 3
# The shell ends at once, so the helper loses its parent; an `&` alone would give it /dev/null as stdin.
_DETACH = f'"$@" <&{HOOKS_FD} {HOOKS_FD}<&- &'
_CODE = "from runcast.hooks.main import main"
_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def hooks_of(request: Mapping[str, Any]) -> Hooks | None:
    """Return the hooks of a run by its request, if it has any."""
    return request.get("on_end")


def begin_hooks(path: str, hooks: Hooks) -> None:
    """Start the helper for the run in a folder; one that finds its hooks claimed ends at once.

    It takes as long as a shell does to start. What goes wrong is logged: the end of a run depends on no hook.
    """
    from runcast.supervisor.launch import PACKAGE_ROOT, environment, interpreter
    from runcast.sysio.descriptors import duplicate, in_memory

    code = f"import sys; sys.path.insert(0, {PACKAGE_ROOT!r}); {_CODE}; main({path!r})"
    argv = ["sh", "-c", _DETACH, "sh", interpreter(), "-I", "-S", "-X", "utf8", "-c", code]
    opened: list[int] = []
    try:
        opened.append(in_memory(json.dumps(list(hooks)).encode()))
        opened.append(duplicate(opened[0], HOOKS_FD + 1))  # another number: else it would close on exec
        pid = os.posix_spawn(
            "/bin/sh",
            argv,
            environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
                (os.POSIX_SPAWN_DUP2, opened[1], HOOKS_FD),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_SIGNALS,
        )
        with contextlib.suppress(ChildProcessError):  # this process ignores SIGCHLD, or reaps all by itself
            os.waitpid(pid, 0)
    except OSError as error:
        loggers.warning("runs", "run %s: its hooks cannot be begun: %s", os.path.basename(path), error)
    finally:
        for fd in opened:
            os.close(fd)


def begin_apart(path: str, hooks: Hooks) -> None:
    """Start the helper from a subreaper, whose children are those of its own run, and leave it to others."""
    from runcast.supervisor.tree import become_subreaper

    become_subreaper(really=False)
    try:
        begin_hooks(path, hooks)
    finally:
        become_subreaper()


def is_helper(pid: int) -> bool:
    """Return whether a process does hooks, or is the shell that starts one."""
    with contextlib.suppress(OSError):
        return _CODE.encode() in read_kernel(f"/proc/{pid}/cmdline")
    return False
