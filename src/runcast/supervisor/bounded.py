"""Start a command with a niceness, limits or a user of its own: a fork, for posix_spawn(3) has none of them.

Owns what happens in the child between fork(2) and execve(2). An error there reaches the parent through a pipe
that is closed by the execution. Does not search for programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

__all__ = ["BoundRefused", "start_bounded"]

_RESOURCES: Final = {
    "memory": resource.RLIMIT_DATA,  # what it allocates, since Linux 4.7; RLIMIT_AS stops more programs
    "cpu_time": resource.RLIMIT_CPU,
    "file_size": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "core_size": resource.RLIMIT_CORE,
}
_ANSWER_BYTES = 4096


class BoundRefused(Exception):
    """The system refuses a bound; the text is for people."""


def start_bounded(
    program: str,
    argv: list[str],
    env: Mapping[str, str],
    actions: Sequence[tuple[Any, ...]],
    signals: Collection[int],
    bounds: Mapping[str, Any],
    joining: str | None = None,
) -> int:
    """Start a program in a session of its own and return its pid.

    Args:
        program: the file to execute.
        argv: its arguments.
        env: its environment.
        actions: what is done with descriptors in the child, as posix_spawn(3) takes them.
        signals: that get their default action.
        bounds: `nice`, `limits` and `user`, those that there are.
        joining: the file in which it becomes a member of its control group, if it has one.

    Raises:
        BoundRefused: the system refuses one of them.
        OSError: there are too many processes, or the program cannot be executed.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
        if not pid:
            _become(program, argv, env, actions, signals, bounds, joining, writing)
    finally:
        os.close(writing)
    try:
        said = os.read(reading, _ANSWER_BYTES)
    finally:
        os.close(reading)
    if not said:
        return pid
    os.waitpid(pid, 0)
    number, what = json.loads(said)
    if what:
        raise BoundRefused(f"{what}: {os.strerror(number).lower()}")
    raise OSError(number, os.strerror(number))


def _become(
    program: str,
    argv: list[str],
    env: Mapping[str, str],
    actions: Sequence[tuple[Any, ...]],
    signals: Collection[int],
    bounds: Mapping[str, Any],
    joining: str | None,
    writing: int,
) -> None:
    """Turn this child into the program, or say why not; never returns."""
    what = ""
    try:
        os.setsid()
        for number in signals:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for action in actions:
            _act(*action)
        if joining is not None:
            what = "cannot join its control group"
            with open(joining, "wb", buffering=0) as members:
                members.write(b"0")
        for name, value in (bounds.get("limits") or {}).items():
            if name not in _RESOURCES:
                continue  # of the group
            what = f"cannot set the limit {name} to {value}"
            above = name == "cpu_time"  # SIGXCPU at the first, SIGKILL at the second
            resource.setrlimit(_RESOURCES[name], (value, value + above))
        if "nice" in bounds:
            what = f"cannot set nice to {bounds['nice']}"
            os.setpriority(os.PRIO_PROCESS, 0, bounds["nice"])
        if "user" in bounds:
            what = f"cannot become the user {bounds['user']}"
            _become_user(bounds["user"])
        what = ""
        os.execve(program, argv, env)
    except BaseException as error:
        number = (
            error.errno if isinstance(error, OSError) and error.errno else 1
        )  # EPERM: of a limit ValueError
        os.write(writing, json.dumps([number, what]).encode())
    finally:
        os._exit(127)


def _act(kind: int, fd: int, *rest: Any) -> None:
    if kind == os.POSIX_SPAWN_DUP2:
        os.dup2(fd, rest[0])
    else:  # POSIX_SPAWN_OPEN
        opened = os.open(*rest)
        if opened != fd:
            os.dup2(opened, fd)
            os.close(opened)
        os.set_inheritable(fd, True)


def _become_user(name: str) -> None:
    import pwd

    user = pwd.getpwnam(name)
    if os.geteuid() != user.pw_uid:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
