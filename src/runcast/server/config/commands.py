"""The tables `[commands.NAME]`.

Owns the keys that a command has beside its options. Which options a command may have, and what their
values mean, is the table's of start options.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from runcast.errors import CommandRefused, UsageError
from runcast.keep import parse_keep
from runcast.options import OPTIONS, Option
from runcast.options.end_types import ON_END
from runcast.options.mask import MASK
from runcast.options.process_types import LIMITS, NICE, USER
from runcast.options.queue_types import QUEUE, RUNNING
from runcast.options.types import BYTES, CELLS, FOLDER, KEEP, SECONDS, TERMINAL, VARIABLES
from runcast.quantities import duration, size
from runcast.server.config.file import ConfigFile
from runcast.sources.command import to_argv
from runcast.web.api.commands import NamedCommand, command_options

__all__ = ["read_commands"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PARSED: Final[dict[object, Callable[[Any], Any]]] = {
    SECONDS: partial(duration, zero=False),
    BYTES: partial(size, zero=False),
    KEEP: parse_keep,
}
_READ = (LIMITS, ON_END, USER)  # of which the command gets what the type makes of it


def read_commands(file: ConfigFile) -> dict[str, NamedCommand]:
    """Return the commands by name, in the order of the file."""
    tables = file.table(file.value.get("commands", {}), "commands", form="tables [commands.NAME]")
    form = _form()
    return {name: _command(file, form, name, table) for name, table in tables.items()}


def _command(file: ConfigFile, form: type[msgspec.Struct], name: str, value: object) -> NamedCommand:
    keys = ("commands", name)
    if not _NAME.fullmatch(name):
        file.fail(keys, f"expected a name of up to 100 letters, digits and . _ -, got {name!r:.120}")
    table = file.table(value, *keys)
    file.check_keys(table, form.__struct_fields__, *keys)
    file.convert(keys, table, form)
    for option in map(OPTIONS.__getitem__, table.keys() & OPTIONS.keys()):
        table[option.name] = _option(file, (*keys, option.name), option, table[option.name])
    _check_words(file, keys, table["command"], table.get("shell", False))
    table = {key: one for key, one in table.items() if key != "hook"}  # hooks.py reads it
    try:
        return NamedCommand(name, **table)
    except UsageError as error:  # of its parameters: all else was checked
        file.fail(keys, str(error))


def _option(file: ConfigFile, keys: tuple[str, ...], option: Option, value: Any) -> Any:
    """Return the value of an option, and check what msgspec cannot: whether it has a meaning."""
    if option.type is FOLDER:
        return file.folder(value)
    if option.type in _PARSED:
        return file.parsed(_PARSED[option.type], keys, value)
    if option.type in (CELLS, NICE, QUEUE, RUNNING, TERMINAL) and not option.type.takes(value):
        file.fail(keys, f"expected {option.type.toml_words}, got {value!r:.80}")
    if option.type in (MASK, *_READ):
        read = file.parsed(partial(option.type.read, option.name), keys, value)
        return read if option.type in _READ else value
    if option.type is VARIABLES:
        _check_variables(file, keys, value)
    return value


def _check_words(file: ConfigFile, keys: tuple[str, ...], command: str | list[str], shell: bool) -> None:
    try:
        to_argv(command, shell=shell)
    except CommandRefused as error:  # its advice is for Python
        file.fail((*keys, "command"), str(error).replace("pass shell=True", "set shell = true"))
    except UsageError as error:
        file.fail((*keys, "command"), str(error).replace("shell=True", "shell = true"))


def _check_variables(file: ConfigFile, keys: tuple[str, ...], variables: dict[str, str]) -> None:
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            file.fail((*keys, name), f"expected a variable without `=` in its name or NUL, got {name!r}")


def _form() -> type[msgspec.Struct]:
    """Return the type of a table `[commands.NAME]`: its own keys, and the options that it may have."""
    options = [OPTIONS[name] for name in command_options()]
    return msgspec.defstruct(
        "Command",
        [
            ("command", str | list[str]),
            ("title", str, ""),
            ("description", str, ""),
            ("params", dict[str, Any], {}),
            ("hook", dict[str, Any] | None, None),
            *((option.name, option.type.toml, option.default) for option in options),
        ],
        forbid_unknown_fields=True,
    )
