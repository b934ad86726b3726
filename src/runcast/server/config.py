"""The configuration file: TOML in, named commands, caps, origins and the cookie out.

    allow_origins = ["https://app.example"]
    cookie = "off"

    [commands.deploy]
    command = ["./deploy.sh", "--all"]
    title = "Deploy"
    timeout = "10m"

    [streams]
    cap = "100M"
    total_cap = "20G"

Owns what the file may say (docs/reference/configuration.md) and how it is told that it says
something else: one sentence with the file, the line, the key, what was expected and what came.
"""

from __future__ import annotations

import bisect
import difflib
import os
import re
import tomllib
from typing import Any, NamedTuple, NoReturn

import msgspec

from runcast.errors import CommandRefused, UsageError
from runcast.log import CAP_BYTES
from runcast.quantities import duration, size
from runcast.sources.command import to_argv
from runcast.web.commands import NamedCommand
from runcast.web.origins import parse_origin

__all__ = ["Config", "ConfigError", "load_config"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_KEYS = ("commands", "streams", "allow_origins", "cookie")
_WORDS = {
    "str": "a string",
    "array": "a list",
    "object": "a table",
    "bool": "true or false",
    "int": "an integer",
}
_WORDS |= {"float": "a number", "datetime": "a date", "date": "a date", "time": "a time"}
_EXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$\.?(.*)`)?")


class ConfigError(UsageError):
    """The configuration file cannot be read, or says something that has no meaning."""


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    command: str | list[str]
    title: str = ""
    description: str = ""
    shell: bool = False
    cwd: str | None = None
    env: dict[str, str] = {}
    timeout: int | float | str | None = None
    idle_timeout: int | float | str | None = None
    cap: int | str | None = CAP_BYTES


class _Streams(msgspec.Struct, forbid_unknown_fields=True):
    cap: int | str | None = CAP_BYTES
    total_cap: int | str | None = None


class Config(NamedTuple):
    """What a file says.

    Attributes:
        commands: by name, in the order of the file.
        stream_cap: bytes that a stream may have; None for no bound.
        streams_cap: bytes that all of them may have together; None for no bound.
        allow_origins: other origins, whose pages may read.
        cookie: whether browsers get a cookie for the token.
    """

    commands: dict[str, NamedCommand]
    stream_cap: int | None = CAP_BYTES
    streams_cap: int | None = None
    allow_origins: tuple[str, ...] = ()
    cookie: bool = True


def load_config(path: str) -> Config:
    """Return what a file says. A relative `cwd` of a command begins at the file's folder.

    Raises:
        ConfigError: what is wrong, and where.
    """
    return _File(path).config()


class _File:
    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with open(path, "rb") as file:
                self._text = file.read().decode()
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ConfigError(
                f"{path}, line {line}: expected UTF-8, got the byte 0x{error.object[error.start]:02x}"
            ) from None
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
        try:
            self._value = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(self._malformed(str(error))) from None

    def _malformed(self, message: str) -> str:
        what, _, where = message.rpartition(" (at ")
        at = re.fullmatch(r"line ([0-9]+), column ([0-9]+)\)", where)
        end = self._text.rstrip("\n").split("\n")
        line, column = at.groups() if at else (len(end), len(end[-1]) + 1)
        return (
            f"{self._path}, line {line}, column {column}: expected TOML, got something else: {_lower(what)}"
        )

    def _fail(self, keys: tuple[str, ...], said: str) -> NoReturn:
        line = _line_of(self._text.split("\n"), keys)
        where = f"{self._path}, line {line}" if line else self._path
        key = ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else repr(key) for key in keys)
        raise ConfigError(f"{where}, {key}: {said}")

    def config(self) -> Config:
        """Return what all tables say."""
        for key in self._value:
            if key not in _KEYS:
                self._unknown(_KEYS, (key,))
        tables = self._value.get("commands", {})
        if not isinstance(tables, dict):
            self._fail(("commands",), f"expected tables [commands.NAME], got {_kind(tables)}")
        commands = {name: self._command(name, table) for name, table in tables.items()}
        caps = self._stream_caps(self._value.get("streams", {}))
        origins = self._origins(self._value.get("allow_origins", []))
        return Config(commands, *caps, origins, self._cookie(self._value.get("cookie", "on")))

    def _cookie(self, said: object) -> bool:
        if said not in ("on", "off"):
            got = repr(said) if isinstance(said, str) else _kind(said)
            self._fail(("cookie",), f'expected "on" or "off", got {got:.100}')
        return said == "on"

    def _origins(self, listed: object) -> tuple[str, ...]:
        if not isinstance(listed, list):
            self._fail(("allow_origins",), f"expected a list of origins, got {_kind(listed)}")
        try:
            return tuple(map(parse_origin, listed))
        except ValueError as error:
            self._fail(("allow_origins",), str(error))

    def _stream_caps(self, table: object) -> tuple[int | None, int | None]:
        if not isinstance(table, dict):
            self._fail(("streams",), f"expected a table [streams], got {_kind(table)}")
        for key in table:
            if key not in _Streams.__struct_fields__:
                self._unknown(_Streams.__struct_fields__, ("streams", key))
        try:
            asked = msgspec.convert(table, _Streams)
        except msgspec.ValidationError as error:
            self._invalid(("streams",), table, str(error))
        cap = self._size(("streams", "cap"), asked.cap)
        return cap, self._size(("streams", "total_cap"), asked.total_cap)

    def _command(self, name: str, table: object) -> NamedCommand:
        keys = ("commands", name)
        if not _NAME.fullmatch(name):
            self._fail(keys, f"expected a name of up to 100 letters, digits and . _ -, got {name!r:.120}")
        if not isinstance(table, dict):
            self._fail(keys, f"expected a table [commands.{name}], got {_kind(table)}")
        for key in table:
            if key not in _Command.__struct_fields__:
                self._unknown(_Command.__struct_fields__, (*keys, key), table[key])
        try:
            asked = msgspec.convert(table, _Command)
        except msgspec.ValidationError as error:
            self._invalid(keys, table, str(error))
        self._check_command(keys, asked)
        return NamedCommand(
            name=name,
            command=asked.command,
            title=asked.title,
            description=asked.description,
            shell=asked.shell,
            cwd=None if asked.cwd is None else self._folder(asked.cwd),
            env=asked.env,
            timeout=self._duration((*keys, "timeout"), asked.timeout),
            idle_timeout=self._duration((*keys, "idle_timeout"), asked.idle_timeout),
            cap=self._size((*keys, "cap"), asked.cap),
        )

    def _unknown(self, known: tuple[str, ...], keys: tuple[str, ...], value: object = None) -> NoReturn:
        near = difflib.get_close_matches(keys[-1], known, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        if isinstance(value, dict) and not near:
            hint = f': a name with a dot is written [{keys[0]}."{keys[1]}.{keys[2]}"]'
        self._fail(keys, f"expected {_either(known)}, got {keys[-1]!r:.80}{hint}")

    def _invalid(self, keys: tuple[str, ...], table: dict[str, Any], message: str) -> NoReturn:
        """Say in our words what msgspec found."""
        if "missing required field" in message:
            self._fail(keys, 'expected a command = ["program", "argument"], got none')
        match = _EXPECTED.match(message)
        if match is None:
            self._fail(keys, _lower(message))
        wanted, got, at = match.groups()
        expected = _either([_WORDS.get(word, word) for word in wanted.split(" | ") if word != "null"])
        field, _, rest = (at or "").partition("[")
        if field == "env" and rest:
            wrong = next(key for key, value in table["env"].items() if not isinstance(value, str))
            self._fail((*keys, field, wrong), f"expected {expected}, got {table['env'][wrong]!r:.80}")
        item = f" as item {int(rest[:-1]) + 1}" if rest else ""
        self._fail((*keys, field), f"expected {expected}{item}, got {_WORDS.get(got, got)}")

    def _check_command(self, keys: tuple[str, ...], asked: _Command) -> None:
        try:
            to_argv(asked.command, shell=asked.shell)
        except CommandRefused as error:  # its advice is for Python
            self._fail((*keys, "command"), str(error).replace("pass shell=True", "set shell = true"))
        except UsageError as error:
            self._fail((*keys, "command"), str(error).replace("shell=True", "shell = true"))
        for name, value in asked.env.items():
            if not name or "=" in name or "\0" in name + value:
                self._fail(
                    (*keys, "env", name), f"expected a variable without `=` in its name or NUL, got {name!r}"
                )

    def _folder(self, cwd: str) -> str:
        return os.path.join(os.path.dirname(os.path.abspath(self._path)), os.path.expanduser(cwd))

    def _duration(self, keys: tuple[str, ...], value: float | str | None) -> float | None:
        try:
            return None if value is None else duration(value, zero=False)
        except ValueError as error:
            self._fail(keys, str(error))

    def _size(self, keys: tuple[str, ...], value: int | str | None) -> int | None:
        try:
            return None if value is None else size(value, zero=False)
        except ValueError as error:
            self._fail(keys, str(error))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _either(words: tuple[str, ...] | list[str]) -> str:
    words = list(dict.fromkeys(words))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _kind(value: object) -> str:
    return {dict: "a table", list: "a list", str: "a string", bool: "true or false"}.get(
        type(value), repr(value)[:80]
    )


def _line_of(lines: list[str], keys: tuple[str, ...]) -> int | None:
    """Return the line on which the statement begins that sets a key.

    The parser does not tell, so it is asked: a statement is whole where everything down to its
    last line is TOML, and the first such place that has the key is its end.
    """

    def whole(count: int) -> tuple[int, dict[str, Any]]:
        """Return the last place up to `count` where a statement ends, and what stands before it."""
        while True:
            try:
                return count, tomllib.loads("\n".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                count -= 1

    def has(count: int) -> bool:
        value: object = whole(count)[1]
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return True

    end = bisect.bisect_left(range(len(lines) + 1), True, key=has)
    return whole(end - 1)[0] + 1 if 0 < end <= len(lines) else None
