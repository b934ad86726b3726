"""Named commands: what one may start from the web without being able to say how.

Owns the table that an operator writes (`commands=` of an app, the TOML file of the server).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runcast.errors import RuncastError
from runcast.log import CAP_BYTES
from runcast.run import Run
from runcast.sources.command import to_argv
from runcast.store import Store

__all__ = ["CommandNotFound", "NamedCommand", "find_command"]


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
