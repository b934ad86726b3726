"""Start one command, or say in plain words why it cannot be.

Owns the search along PATH and the messages for what a person gets wrong most often. The child
gets its own session, so that its process group can be signalled and no terminal but its own reaches it.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runcast.shortages import shortage
from runcast.supervisor.tree import Tree

if TYPE_CHECKING:
    from runcast.supervisor.run_group import RunGroup

__all__ = ["CannotStart", "NoRoom", "spawn"]

_BOUNDS = ("nice", "limits", "user")  # of a request; None for none

_EFFECTIVE = os.access in os.supports_effective_ids  # as execve(2) decides; access(2) goes by the real user
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
        what = f"{short.what}: {short.advice}" if short else f"{(error.strerror or '').lower() or error}"
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
    request: Mapping[str, Any],
    actions: Sequence[tuple[Any, ...]],
    *,
    make_room: Callable[[], bool] = lambda: False,
) -> Tree:
    """Start the command and return its processes; it has its own session and default signals.

    The working directory of this process becomes that of the command: a supervisor has no other use for
    it, and so a relative program name and posix_spawn(3) both mean the right place. Where there are too
    many processes, `make_room` gives one up; if it returns True, the command is tried once more.

    Args:
        request: `argv`, `env` and `cwd`; `nice`, `limits` and `user`, if any; `id`, which names the control
            group that some limits need.
        actions: what posix_spawn(3) does with descriptors in the child, which leads its session by then.
        make_room: see above.

    Raises:
        CannotStart: there is no such folder or program, or it is not executable; or a bound is refused.
        NoRoom: there are too many processes, or there is too little memory.
    """
    argv, env, cwd = request["argv"], request["env"], request["cwd"]
    bounds = {name: request[name] for name in _BOUNDS if request.get(name) is not None}
    try:
        os.chdir(cwd)
    except OSError as error:
        why = "no such directory" if error.errno == errno.ENOENT else (error.strerror or "").lower()
        raise CannotStart(_NOT_FOUND, f"cannot change to cwd {cwd!r}: {why}") from None
    program = _executable(argv[0], env.get("PATH", os.defpath))
    if not bounds:
        return Tree(_spawn(program, argv, env, actions, make_room))
    group = _group(argv[0], bounds, request["id"])
    try:
        return Tree(_spawn(program, argv, env, actions, make_room, bounds, group), group)
    except BaseException:
        if group is not None:
            group.remove()
        raise


def _group(name: str, bounds: Mapping[str, Any], run_id: str) -> RunGroup | None:
    """Make the control group that the limits need, if any."""
    limits: Mapping[str, Any] = bounds.get("limits") or {}
    if not any(one.startswith("run_") for one in limits):
        return None
    from runcast.supervisor.run_group import GROUP_LIMITS, CannotBound, make_group

    of_group = {one: value for one, value in limits.items() if one in GROUP_LIMITS}
    try:
        return make_group(run_id, of_group)
    except CannotBound as error:
        names = ", ".join(of_group)
        raise CannotStart(_NO_ROOM, f"cannot start {name!r}: cannot set the limit {names}: {error}") from None


def _spawn(
    program: str,
    argv: list[str],
    env: dict[str, str],
    actions: Sequence[tuple[Any, ...]],
    make_room: Callable[[], bool],
    bounds: Mapping[str, Any] | None = None,
    group: RunGroup | None = None,
) -> int:
    try:
        if bounds:
            from runcast.supervisor.bounded import BoundRefused, start_bounded  # few runs have any

            joining = None if group is None else group.joining
            try:
                return start_bounded(program, argv, env, actions, _DEFAULT_SIGNALS, bounds, joining)
            except BoundRefused as refused:
                raise CannotStart(_NO_ROOM, f"cannot start {argv[0]!r}: {refused}") from None
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
            return _spawn(program, argv, env, actions, lambda: False, bounds, group)
        if shortage(error) is not None:
            raise NoRoom(argv[0], error) from None
        raise CannotStart(
            _NOT_EXECUTABLE, f"cannot execute {program!r}: {(error.strerror or '').lower()}"
        ) from None
    except ValueError as error:
        raise CannotStart(_NOT_EXECUTABLE, f"cannot execute {program!r}: {error}") from None
