"""One configuration file, and the sentences about its mistakes.

Owns reading the file, the line on which a key is set, and the form of a message: the file, the line, the
key, what was expected and what was found. Must not know which keys there are.
"""

from __future__ import annotations

import bisect
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable
from typing import Any, NoReturn

import msgspec

from runcast.errors import UsageError
from runcast.quantities import either

__all__ = ["ConfigError", "ConfigFile", "kind"]

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
    """The configuration file cannot be read, or has a key or a value without a meaning."""


class ConfigFile:
    """A file of settings.

    Attributes:
        value: what it has, as tomllib returns it.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """

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
            self.value = tomllib.loads(self._text)
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

    def fail(self, keys: tuple[str, ...], message: str) -> NoReturn:
        """Raise an error about what some keys, from the outermost to the innermost, have."""
        line = _line_of(self._text.split("\n"), keys)
        where = f"{self._path}, line {line}" if line else self._path
        key = ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else repr(key) for key in keys)
        raise ConfigError(f"{where}, {key}: {message}")

    def table(self, value: object, *keys: str, form: str = "") -> dict[str, Any]:
        """Return a value that must be a table, written as `form` says, else as `[keys]`."""
        if not isinstance(value, dict):
            wanted = form or f"a table [{'.'.join(keys)}]"
            self.fail(keys, f"expected {wanted}, got {kind(value)}")
        return value

    def check_keys(self, table: Iterable[str], known: Collection[str], *keys: str) -> None:
        """Check that a table has no key but the known ones."""
        for key in table:
            if key not in known:
                value = table[key] if isinstance(table, dict) else None
                self.unknown(known, (*keys, key), value)

    def unknown(self, known: Collection[str], keys: tuple[str, ...], value: object = None) -> NoReturn:
        """Raise the error about a key that has no meaning."""
        near = difflib.get_close_matches(keys[-1], known, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        if isinstance(value, dict) and not near and len(keys) > 2:
            hint = f': a name with a dot is written [{keys[0]}."{keys[1]}.{keys[2]}"]'
        self.fail(keys, f"expected {either(known)}, got {keys[-1]!r:.80}{hint}")

    def convert(self, keys: tuple[str, ...], table: dict[str, Any], form: type[msgspec.Struct]) -> Any:
        """Return a table as a struct: each value must have the type that it has there."""
        try:
            return msgspec.convert(table, form)
        except msgspec.ValidationError as error:
            self._invalid(keys, table, str(error))

    def _invalid(self, keys: tuple[str, ...], table: dict[str, Any], message: str) -> NoReturn:
        """Raise the error that msgspec found, in the words of this file."""
        if "missing required field" in message:
            self.fail(keys, 'expected a command = ["program", "argument"], got none')
        match = _EXPECTED.match(message)
        if match is None:
            self.fail(keys, _lower(message))
        wanted, got, at = match.groups()
        expected = either([_WORDS.get(word, word) for word in wanted.split(" | ") if word != "null"])
        field, _, rest = (at or "").partition("[")
        if rest.startswith("..."):  # of a table of strings: msgspec does not name the key
            wrong = next(key for key, value in table[field].items() if not isinstance(value, str))
            self.fail((*keys, field, wrong), f"expected {expected}, got {table[field][wrong]!r:.80}")
        item = f" as item {int(rest[:-1]) + 1}" if rest else ""
        self.fail((*keys, field), f"expected {expected}{item}, got {_WORDS.get(got, got)}")

    def folder(self, path: str) -> str:
        """Return the path of a folder; a relative one begins at the file's."""
        return os.path.join(os.path.dirname(os.path.abspath(self._path)), os.path.expanduser(path))

    def parsed(self, parse: Callable[[Any], Any], keys: tuple[str, ...], value: object) -> Any:
        """Return what `parse` makes of a value; None where there is none."""
        try:
            return None if value is None else parse(value)
        except (ValueError, UsageError) as error:
            self.fail(keys, str(error))


def kind(value: object) -> str:
    """Return what a value is, for a message that expected another kind."""
    return {dict: "a table", list: "a list", str: "a string", bool: "true or false"}.get(
        type(value), repr(value)[:80]
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _line_of(lines: list[str], keys: tuple[str, ...]) -> int | None:
    """Return the line on which the statement begins that sets a key.

    The parser has no line numbers, but it accepts a beginning of the file wherever a statement
    ends. The first such beginning that has the key ends with the statement that sets it.
    """

    def whole(count: int) -> tuple[int, dict[str, Any]]:
        """Return the last line up to `count` where a statement ends, and the values up to it."""
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
