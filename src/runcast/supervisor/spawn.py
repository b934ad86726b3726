"""Start one command, or say in plain words why it cannot be.

Owns the search along PATH and the messages for what a person gets wrong most often. The child
gets its own session, so that its process group can be signalled and no terminal reaches it.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable

from runcast.shortages import shortage

__all__ = ["CannotStart", "NoRoom", "spawn"]

_EFFECTIVE = os.access in os.supports_effective_ids  # as execve(2) decides; access(2) asks for the real user
_NO_ROOM = 125  # what env(1) and timeout(1) exit with when the fault is not the command's
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # the shell's exit codes (POSIX.1-2024, XCU 2.8.2)
# All of them: what the first starter of a store happened to ignore is none of a command's business.
_DEFAULT_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


class CannotStart(Exception):
    """The command could not be started; `code` is what a shell would exit with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoRoom(CannotStart):
    """The system has too little of something just now: the command itself may be all right."""

    def __init__(self, name: str, error: OSError) -> None:
        short = shortage(error)
        what = f"{short.what}: {short.advice}" if short else f"{(error.strerror or '').lower()}"
        super().__init__(_NO_ROOM, f"cannot start {name!r}: {what}")


def _executable(name: str, path: str) -> str:
    """Return the file to execute, as execvp(3) would find it."""
    places = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in path.split(":")]
    refused = ""
    for place in places:
        try:
            mode = os.stat(place).st_mode
        except OSError as error:
            if error.errno == errno.EACCES:
                refused = refused or place
            continue
        if stat.S_ISREG(mode) and os.access(place, os.X_OK, effective_ids=_EFFECTIVE):
            return place
        if "/" in name and stat.S_ISDIR(mode):
            raise CannotStart(_NOT_EXECUTABLE, f"{name!r} is a directory, not a program")
        refused = refused or (place if stat.S_ISREG(mode) else "")
    if refused:
        raise CannotStart(_NOT_EXECUTABLE, f"permission denied: {refused!r} is not executable (chmod +x it?)")
    if "/" in name:
        raise CannotStart(_NOT_FOUND, f"no such file: {name!r}")
    hint = " (give the program and each argument as an item of its own)" if " " in name else ""
    raise CannotStart(_NOT_FOUND, f"command not found: {name!r} is in no folder of PATH{hint}")


def spawn(
    argv: list[str],
    env: dict[str, str],
    cwd: str,
    stdin: int,
    stdout: int,
    stderr: int,
    *,
    make_room: Callable[[], bool] = lambda: False,
) -> int:
    """Start the command and return its pid; it has its own session and default signals.

    The working directory of this process becomes `cwd`: a supervisor has no other use for it,
    and so a relative program name and posix_spawn(3) both mean the right place. Where there are too
    many processes, `make_room` gives one up; if it returns True, the command is tried once more.

    Raises:
        CannotStart: there is no such folder or program, or it is not executable.
        NoRoom: there are too many processes, or there is too little memory.
    """
    try:
        os.chdir(cwd)
    except OSError as error:
        why = "no such directory" if error.errno == errno.ENOENT else (error.strerror or "").lower()
        raise CannotStart(_NOT_FOUND, f"cannot change to cwd {cwd!r}: {why}") from None
    program = _executable(argv[0], env.get("PATH", os.defpath))
    actions = [
        (os.POSIX_SPAWN_DUP2, stdin, 0),
        (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
    ]
    try:
        return os.posix_spawn(
            program,
            argv,
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULT_SIGNALS,
        )
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise CannotStart(
                _NOT_EXECUTABLE,
                f"{argv[0]!r} has no known format: does a script lack its `#!` line?",
            ) from None
        if error.errno == errno.ENOENT:
            raise CannotStart(
                _NOT_FOUND, f"{program!r} names an interpreter (`#!`) that does not exist"
            ) from None
        if error.errno == errno.EAGAIN and make_room():
            return spawn(argv, env, cwd, stdin, stdout, stderr)
        if shortage(error) is not None:
            raise NoRoom(argv[0], error) from None
        raise CannotStart(
            _NOT_EXECUTABLE, f"cannot execute {program!r}: {(error.strerror or '').lower()}"
        ) from None
    except ValueError as error:
        raise CannotStart(_NOT_EXECUTABLE, f"cannot execute {program!r}: {error}") from None
