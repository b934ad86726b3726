"""Named commands: what one may start from the web without being able to say how.

Owns the table that an operator writes (`commands=` of an app, the TOML file of the server).
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from runcast.errors import RuncastError, UsageError
from runcast.log import CAP_BYTES
from runcast.run import Run
from runcast.sources.command import to_argv
from runcast.store import Store

__all__ = ["CommandNotFound", "Commands", "NamedCommand", "find_command", "named_commands"]


class CommandNotFound(RuncastError, LookupError):
    """No named command has this name; the message lists those that exist."""

    http_status = 404


@dataclass(frozen=True)
class NamedCommand:
    """One command that may be started by its name.

    Attributes:
        name: what a request says; unique in its table.
        command: a list of arguments, or a string that is split as a shell splits words.
        title: what a page shows.
        description: one or two sentences below it.
        shell: have `/bin/sh` execute the string.
        cwd: the folder to run in; this process's if None.
        env: variables on top of this process's environment.
        timeout: seconds after which a run is stopped.
        idle_timeout: seconds without output after which a run is stopped.
        cap: bytes of output to keep.
    """

    name: str
    command: str | list[str]
    title: str = ""
    description: str = ""
    shell: bool = False
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    idle_timeout: float | None = None
    cap: int | None = CAP_BYTES

    def start(self, store: Store) -> Run:
        """Start it."""
        return store.start(
            self.command,
            name=self.name,
            shell=self.shell,
            cwd=self.cwd,
            env=self.env,
            timeout=self.timeout,
            idle_timeout=self.idle_timeout,
            cap=self.cap,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what the web may know of it."""
        return {
            "name": self.name,
            "title": self.title or self.name,
            "description": self.description,
            "command": to_argv(self.command, shell=self.shell),
            "params": {},
        }


Commands = Iterable[str | list[str] | NamedCommand] | Mapping[str, Any]


def named_commands(commands: Commands) -> dict[str, NamedCommand]:
    """Return commands by name.

    Args:
        commands: a list of commands, each of which is its own name; or a table, name to command or
            to a table of what `NamedCommand` has (`{"command": …, "title": …}`).

    Raises:
        UsageError, CommandRefused: one is no command; the message names it.
    """
    if isinstance(commands, (str, bytes)):
        raise UsageError(f"expected commands= as a list or a table, got one string: [{commands!r}] is a list")
    if isinstance(commands, Mapping):
        named = [_named(name, command) for name, command in commands.items()]
    else:
        named = [
            command if isinstance(command, NamedCommand) else _named(_own_name(command), command)
            for command in commands
        ]
    for command in named:
        to_argv(command.command, shell=command.shell)
    return {command.name: command for command in named}


def _own_name(command: Any) -> str:
    return command if isinstance(command, str) else shlex.join(map(os.fspath, command))


def _named(name: str, command: Any) -> NamedCommand:
    if isinstance(command, NamedCommand):
        return replace(command, name=name)
    if not isinstance(command, Mapping):
        return NamedCommand(name, command)
    known = {one.name for one in fields(NamedCommand)} - {"name"}
    if unknown := set(command) - known:
        raise UsageError(
            f"expected of the command {name!r} {', '.join(sorted(known))}, got {sorted(unknown)[0]!r}"
        )
    if "command" not in command:
        raise UsageError(f'expected of the command {name!r} a "command", got none')
    return NamedCommand(name, **command)


def find_command(commands: Mapping[str, NamedCommand], name: str) -> NamedCommand:
    """Return the command of a name.

    Raises:
        CommandNotFound: there is none.
    """
    if name in commands:
        return commands[name]
    near = difflib.get_close_matches(name, commands, 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    there = ", ".join(sorted(commands)) or "none: the server's configuration names them"
    raise CommandNotFound(f"no command {name!r}{hint}; there are: {there}")
