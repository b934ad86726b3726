"""Named commands: what may be started from the web by a name, and not changed there.

Owns the table that an operator writes (`commands=` of an app, the TOML file of the server).
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack, cast

from runcast.errors import RuncastError, UsageError
from runcast.masking.values import STARS
from runcast.options import OPTIONS, PLACES, check_together, read, unknown
from runcast.run import Run
from runcast.run.base import files_of
from runcast.runs import Store, masked_run
from runcast.sources.command import to_argv
from runcast.store.given import given_to
from runcast.store.uploads import again as same_files
from runcast.web.api.params import Params

if TYPE_CHECKING:
    from runcast.options.typed import CommandOptions, StartOptions

__all__ = [
    "DELIVERY_VARIABLES",
    *("CommandNotFound", "Commands", "NamedCommand", "command_options", "find_command", "named_commands"),
]


DELIVERY_VARIABLES = ("RUNCAST_HOOK_EVENT", "RUNCAST_HOOK_DELIVERY")  # of a run that a webhook started


class CommandNotFound(RuncastError, LookupError):
    """No named command has this name; the message lists those that exist."""

    http_status = 404


class NamedCommand:
    """One command that may be started by its name.

    Attributes:
        name: what a request names it by; unique in its table.
        command: a list of arguments, or a string that is split as a shell splits words.
        title: what a page shows.
        description: one or two sentences below it.
        params: what a client may choose, as `{"P": {"type": "int", "max": 9}}`; see `Param`. `"{P}"`, as an
            item of `command`, is the place of P.
        options: of each start, the defaults included; see `command_options`.

    Raises:
        UsageError: an option or a parameter is unknown, or has a value without a meaning.
    """

    def __init__(
        self,
        name: str,
        command: str | list[str],
        title: str = "",
        description: str = "",
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CommandOptions],
    ) -> None:
        known = command_options()
        if wrong := options.keys() - set(known):
            raise unknown(min(wrong), known)
        self.name, self.command, self.title, self.description = name, command, title, description
        values = read(options)
        check_together(values)
        self.options = cast("CommandOptions", {option: values[option] for option in known})
        self.params = Params(command, params or {}, shell=values["shell"])
        if self.params.upload_bytes and values["user"] is not None:
            raise UsageError(
                "expected no user with a file as a parameter: nobody else may read the run's folder"
            )

    @property
    def masked(self) -> bool:
        """Whether something of its runs is masked."""
        return self.options["mask"] is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedCommand) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it has options, and they may be mappings

    def __repr__(self) -> str:
        return f"<NamedCommand {self.name!r}>"

    def named(self, name: str) -> NamedCommand:
        """Return the same under another name."""
        tables = self.params.tables
        return NamedCommand(name, self.command, self.title, self.description, tables, **self.options)

    def start(
        self, store: Store, params: Mapping[str, object] | None = None, *, key: str | None = None
    ) -> Run:
        """Start it.

        Args:
            store: where the run is.
            params: values of its parameters, by name.
            key: a second start with it finds the run of the first.

        Raises:
            UsageError: one is unknown, missing or does not fit.
            RunExists: the key names a run with other values, or of another command.
        """
        values = self.params.read(params or {})
        if not self.params:
            return store.start(self.command, name=self.name, key=key, **self.options)
        options = dict(self.options)
        if secrets := self.params.secrets(values):
            options["mask"] = [*(self.options["mask"] or ()), *secrets]
        of_run = cast("StartOptions", {**options, "name": self.name, "params": values, "key": key})
        return store.start(self.params.place(values), **of_run)

    def deliver(
        self,
        store: Store,
        payload: bytes,
        *,
        place: str,
        key: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Run:
        """Start it with what a webhook delivered, never in its arguments.

        Args:
            store: where the run is.
            payload: what was delivered.
            place: where it finds that: one of `PLACES`.
            key: a second delivery with it finds the run of the first.
            env: variables on top of its own.
        """
        options: dict[str, Any] = {**self.options, PLACES[place]: payload, "key": key}
        options["env"] = {**(self.options["env"] or {}), **(env or {})}
        if not self.params:
            return store.start(self.command, name=self.name, **options)
        values = self.params.read({})
        return store.start(self.params.place(values), name=self.name, **{**options, "params": values})

    def again(self, store: Store, run: Run) -> Run:
        """Start it as one of its runs was: with the values of its parameters, or what was delivered.

        Raises:
            RunMasked: what was delivered, or a value, is missing in its record.
            UploadGone: so is a file that it was started with.
            UsageError: a value does not fit any more.
        """
        env = {name: text for name, text in run.request.get("env", {}).items() if name in DELIVERY_VARIABLES}
        if run.request.get("masked") and (env or any(STARS in str(value) for value in run.params.values())):
            raise masked_run(run)
        if not env:
            return self.start(store, same_files(run.id, files_of(run).path, run.request)[1])
        payload, as_file = given_to(files_of(run))
        return self.deliver(store, payload, place="file" if as_file else "stdin", env=env)

    def to_json(self) -> dict[str, Any]:
        """Return what the web may know of it."""
        return {
            "name": self.name,
            "title": self.title or self.name,
            "description": self.description,
            "command": self._shown_command(),
            "params": {param.name: param.to_json() for param in self.params},
            "tty": self.options["tty"],
        }

    def _shown_command(self) -> list[str]:
        """Return its arguments, masked as those of its runs."""
        argv = to_argv(self.command, shell=self.options["shell"])
        if self.options["mask"] is None:
            return argv
        from runcast.starting import masks_of  # few commands are masked

        return [masks_of(self.options["mask"], self.options["env"]).text(one) for one in argv]


def command_options() -> list[str]:
    """Return the names of the options that a named command may have."""
    return [option.name for option in OPTIONS.values() if option.of_command]


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
        to_argv(command.command, shell=command.options["shell"])
    return {command.name: command for command in named}


def _own_name(command: Any) -> str:
    return command if isinstance(command, str) else shlex.join(map(os.fspath, command))


def _named(name: str, command: Any) -> NamedCommand:
    if isinstance(command, NamedCommand):
        return command.named(name)
    if not isinstance(command, Mapping):
        return NamedCommand(name, command)
    known = sorted(["command", "title", "description", "params", *command_options()])
    try:
        if wrong := command.keys() - set(known):
            raise unknown(min(wrong), known)
        if "command" not in command:
            raise UsageError('expected a "command", got none')
        return NamedCommand(name, **command)
    except UsageError as error:
        raise UsageError(f"expected of the command {name!r} {str(error).removeprefix('expected ')}") from None


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
