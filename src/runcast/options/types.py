"""The types of start options: for each, what it takes in Python, JSON and TOML, and what `run.json` keeps.

Owns the checks of values and their messages. Must not know which options there are, or what a
value does. What a type is on the command line is `cli/start_options.py`'s, for click loads late.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from runcast.errors import UsageError
from runcast.model import CELLS_MOST
from runcast.utf8 import is_text

if TYPE_CHECKING:
    from runcast.keep import Keep

__all__ = [
    *("CheckedByReading", "Number"),
    *("ARGUMENTS", "BYTES", "CELLS", "COUNT", "DATA", "FLAG", "FOLDER", "KEEP", "KEY", "SECONDS", "STDIN"),
    *("SWITCH", "TERMINAL", "TEXT", "VALUES", "VARIABLES", "OptionType"),
]


class OptionType:
    """Text, and the base of the other types.

    Attributes:
        python: the type in the reference of the Python API.
        words: what Python code is expected to pass, in a message.
        json_words: what a JSON body is expected to have, in a message.
        schema: describes that in OpenAPI.
        kept_words: what is expected in `run.json`, in a message.
        toml: the type in a TOML file, as msgspec takes it. TOML has no null: None is what is left out.
        toml_words: that, in the reference.
        secret: whether no message and no file may have a value.
    """

    python = "str | None"
    words = "text"
    json_words = "a text"
    schema: Mapping[str, object] = {"type": "string"}
    kept_words = "text"
    toml: Any = str | None
    toml_words = "a string"
    secret = False

    def read(self, name: str, value: Any) -> Any:
        """Return the value that Python code passed for an option, None included, in its usual form.

        Raises:
            UsageError: it is of another type, or has no meaning.
        """
        if value is not None and not self.takes(value):
            raise UsageError(f"expected {name} as {self.words}, got {value!r:.80}")
        return value

    def takes(self, value: Any) -> bool:
        """Return whether Python code may pass this value."""
        return isinstance(value, str)

    def in_json(self, value: object) -> bool:
        """Return whether a JSON body may have this value. None stands for null."""
        return isinstance(value, str) and "\0" not in value

    def keep(self, value: Any) -> Any:
        """Return what `run.json` has for a value that was read."""
        return value

    def is_kept(self, value: object) -> bool:
        """Return whether `run.json` may have this value."""
        return is_text(value)


class _Folder(OptionType):
    python = "str | os.PathLike[str] | None"
    words = "a path"
    json_words = "the name of a folder"

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, os.PathLike))


class _Flag(OptionType):
    python = "bool"
    words = "True or False"
    json_words = kept_words = toml_words = "true or false"
    schema: Mapping[str, object] = {"type": "boolean"}
    toml = bool

    def takes(self, value: Any) -> bool:
        return isinstance(value, bool) or value in (0, 1)

    def in_json(self, value: object) -> bool:
        return isinstance(value, bool)

    def is_kept(self, value: object) -> bool:
        return isinstance(value, bool)


class _Switch(_Flag):
    """A flag that nobody need set: None leaves the matter as it is."""

    python = "bool | None"
    toml = bool | None


class _Seconds(OptionType):
    python = "float | str | None"
    words = 'seconds, or a text such as "5m"'
    json_words = "seconds, more than 0"
    schema: Mapping[str, object] = {"type": "number", "exclusiveMinimum": 0}
    kept_words = "seconds"
    toml = int | float | str | None
    toml_words = 'seconds, or a string such as `"90s"`, `"5m"`, `"1h30m"`'

    def read(self, name: str, value: Any) -> float | None:
        seconds: float | None = _quantity(name, value, super().read)
        return seconds

    def takes(self, value: Any) -> bool:
        return isinstance(value, (int, float))

    def in_json(self, value: object) -> bool:
        return _is_number(value) and 0 < value <= sys.float_info.max  # type: ignore[operator]

    def keep(self, value: float | None) -> float | None:
        return None if value is None or math.isinf(value) else value

    def is_kept(self, value: object) -> bool:
        return _is_number(value) and math.isfinite(value)  # type: ignore[arg-type]


class _Size(OptionType):
    python = "int | str | None"
    words = 'bytes, or a text such as "64M"'
    json_words = "bytes, more than 0, or null for no limit"
    schema: Mapping[str, object] = {"type": ["integer", "null"], "minimum": 1}
    kept_words = "bytes"
    toml = int | str | None
    toml_words = 'bytes, or a string such as `"64M"` or `"1G"`, or `"none"`'

    def read(self, name: str, value: Any) -> int | None:
        count: int | None = _quantity(name, value, super().read, of_bytes=True)
        return count

    def takes(self, value: Any) -> bool:
        return isinstance(value, int)

    def in_json(self, value: object) -> bool:
        return value is None or (_is_whole(value) and value > 0)  # type: ignore[operator]

    def is_kept(self, value: object) -> bool:
        return _is_whole(value) and 0 <= value < 2**63  # type: ignore[operator]


class _Count(OptionType):
    python = "int | None"

    def read(self, name: str, value: Any) -> int | None:
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise UsageError(f"expected {name} to be 1 or more, or None to run free, got {value!r}")
        return None if value is None else int(value)


class Number(OptionType):
    """A number from 1 to `most`."""

    most = CELLS_MOST
    python = "int"
    json_words = kept_words = toml_words = f"a number from 1 to {most}"
    schema: Mapping[str, object] = {"type": "integer", "minimum": 1, "maximum": most}
    toml = int

    def read(self, name: str, value: Any) -> Any:
        if not self.takes(value):
            raise UsageError(f"expected {name} as a number from 1 to {self.most}, got {value!r:.80}")
        return int(value)

    def takes(self, value: Any) -> bool:
        return _is_whole(value) and 1 <= value <= self.most

    def in_json(self, value: object) -> bool:
        return self.takes(value)

    def is_kept(self, value: object) -> bool:
        return self.takes(value)


class _Terminal(OptionType):
    """A flag that may also be the one channel that is a terminal."""

    python = 'bool | "stdout"'
    words = 'True, False or "stdout"'
    json_words = kept_words = toml_words = 'true, false or "stdout"'
    schema: Mapping[str, object] = {"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["stdout"]}]}
    toml = bool | str

    def takes(self, value: Any) -> bool:
        return isinstance(value, bool) or value == "stdout"

    def in_json(self, value: object) -> bool:
        return self.takes(value)

    def is_kept(self, value: object) -> bool:
        return self.takes(value)


class _Variables(OptionType):
    python = "Mapping[str, str] | None"
    words = "a mapping of names to texts"
    json_words = kept_words = "an object of texts"
    schema: Mapping[str, object] = {"type": "object", "additionalProperties": {"type": "string"}}
    toml = dict[str, str]
    toml_words = "a table of strings"

    def takes(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def in_json(self, value: object) -> bool:
        return isinstance(value, dict) and all(map(super().in_json, (*value, *value.values())))

    def keep(self, value: Mapping[str, str] | None) -> dict[str, str]:
        return dict(value or {})

    def is_kept(self, value: object) -> bool:
        return isinstance(value, dict) and all(map(is_text, (*value, *value.values())))


class _Stdin(OptionType):
    python = "int | IO[Any] | str | None"
    words = '"pipe", a file or a descriptor'
    json_words = '"pipe"'
    schema: Mapping[str, object] = {"type": "string", "enum": ["pipe"]}

    def takes(self, value: Any) -> bool:
        return True  # whether it has a descriptor is looked at where that is used

    def in_json(self, value: object) -> bool:
        return value == "pipe"


class _Data(OptionType):
    python = "bytes | str | None"
    words = "bytes or text"

    def takes(self, value: Any) -> bool:
        return isinstance(value, (bytes, str))


class _Arguments(OptionType):
    python = "Mapping[str, Any] | None"
    words = "a mapping of names to values"

    def takes(self, value: Any) -> bool:
        return isinstance(value, Mapping)


class _Values(_Arguments):
    """Values of parameters, by name; of a flag whether it is on."""

    python = "Mapping[str, str | int | bool] | None"
    kept_words = "an object of texts, whole numbers, true and false"

    def keep(self, value: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        # Of a file its name: the file itself is in the run's folder.
        return {name: one if isinstance(one, (str, int)) else one.name for name, one in value.items()}

    def is_kept(self, value: object) -> bool:
        return isinstance(value, dict) and all(is_text(one) or isinstance(one, int) for one in value.values())


class CheckedByReading(OptionType):
    """A type that takes what `read` does not refuse."""

    def takes(self, value: Any) -> bool:
        try:
            self.read("", value)
        except UsageError:
            return False
        return True


class _Keep(CheckedByReading):
    """What stays of finished runs; see `runcast.keep`, which loads late."""

    python = "int | str | Sequence[int | str] | None"
    words = json_words = 'a number of runs, a time such as "7d", a size such as "2G", or a list of these'
    schema: Mapping[str, object] = {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string"},
            {"type": "array", "minItems": 1, "items": {"type": ["integer", "string"]}},
        ]
    }
    kept_words = "an object of numbers"
    toml = int | str | list[int | str] | None
    toml_words = 'a number of runs, a string such as `"7d"` or `"2G"`, or a list of these'

    def read(self, name: str, value: Any) -> Keep | None:
        if value is None:
            return None
        from runcast.keep import parse_keep

        try:
            return parse_keep(value)
        except ValueError as error:
            raise UsageError(f"expected {name} as {str(error).removeprefix('expected ')}") from None

    def in_json(self, value: object) -> bool:
        return value is not None and not isinstance(value, dict) and self.takes(value)

    def keep(self, value: Keep | None) -> dict[str, int] | None:
        return None if value is None else value.to_json()

    def is_kept(self, value: object) -> bool:
        return isinstance(value, dict) and self.takes(value)


class _Key(OptionType):
    json_words = "a text of at least one character"
    schema: Mapping[str, object] = {"type": "string", "minLength": 1}

    def read(self, name: str, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and value):
            raise UsageError(f"expected a {name} of at least one character, got {value!r:.80}")
        return value

    def in_json(self, value: object) -> bool:
        return super().in_json(value) and bool(value)


TEXT: Final = OptionType()
FOLDER: Final = _Folder()
FLAG: Final = _Flag()
SWITCH: Final = _Switch()
SECONDS: Final = _Seconds()
BYTES: Final = _Size()
COUNT: Final = _Count()
VARIABLES: Final = _Variables()
STDIN: Final = _Stdin()
DATA: Final = _Data()
ARGUMENTS: Final = _Arguments()
VALUES: Final = _Values()
KEEP: Final = _Keep()
KEY: Final = _Key()
CELLS: Final = Number()
TERMINAL: Final = _Terminal()


def _quantity(name: str, value: Any, read: Callable[[str, Any], Any], *, of_bytes: bool = False) -> Any:
    """Return a number, or that which a text names; None where there is no limit."""
    if isinstance(value, str):
        from runcast.quantities import duration, size  # whose patterns cost more than this whole table

        try:
            return size(value, zero=False) if of_bytes else duration(value, zero=False)
        except ValueError as error:
            raise UsageError(f"expected {name} as {str(error).removeprefix('expected ')}") from None
    if read(name, value) is not None and not value > 0:
        raise UsageError(f"expected {name} to be more than 0, got {value!r}: leave it out for none")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
