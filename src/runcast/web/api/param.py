"""One parameter of a named command: what an operator may declare, and which values fit.

Owns these checks and their messages. Where a value stands on the command line is params.py's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from runcast.errors import UsageError
from runcast.options import nearest
from runcast.quantities import either, size
from runcast.sysio.uploads import Upload, upload_of

__all__ = ["KEYS", "Param", "Value"]

Value = str | int | bool | Upload
"""A value of a parameter; of a flag, whether it is on."""

TYPES: Final = ("text", "int", "choice", "flag", "secret", "file")
KEYS: Final = (
    *("type", "title", "help", "default", "pattern", "min", "max", "choices", "required", "option"),
    *("max_bytes", "accept"),
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,16}){1,3}")
_TEXT_CHARACTERS = 4096  # of a text, unless its `max` says otherwise
_FILE_BYTES = 16 * 1024 * 1024  # of a file, unless its `max_bytes` says otherwise
_WORDS = {"true": True, "false": False}


class Param(NamedTuple):
    """One parameter, as it was declared.

    Attributes:
        type: `text` is one line, `int` a whole number, `choice` one of `choices`, `flag` on or off,
            `secret` a text that is masked in all that the run writes, and kept nowhere, `file` a file, which
            is copied into the run's folder: its path is the argument.
        title: what a form shows; by default the name.
        help: a sentence below it.
        default: its value where a client gives none.
        pattern: a regular expression that the whole text must match.
        min: the least number, or the least characters of a text.
        max: the greatest number, or the most characters.
        choices: the texts that there are to choose from.
        required: whether a client must give one; by default where there is no default, flags aside.
        max_bytes: how long a file may be.
        accept: with one of which the name of a file must end, such as `.csv`, and its path in the run ends.
        option: what stands before it on the command line: with `--` in the same argument, `--to=VALUE`.
    """

    name: str
    type: str = "text"
    title: str = ""
    help: str = ""
    default: Value | None = None
    pattern: str | None = None
    min: int | None = None
    max: int | None = None
    choices: tuple[str, ...] = ()
    required: bool = False
    option: str = ""
    max_bytes: int | None = None
    accept: tuple[str, ...] = ()

    @classmethod
    def declared(cls, name: str, table: object) -> Param:
        """Return the parameter that an operator declared.

        Raises:
            UsageError: it has no meaning.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"expected a name of up to 64 letters, digits and _, a letter first, got {name!r:.80}"
            )
        if not isinstance(table, Mapping):
            raise UsageError(f"expected a table with {', '.join(KEYS)}, got {table!r:.80}")
        for key in table:
            if key not in KEYS:
                raise UsageError(f"expected {', '.join(KEYS)}, got {key!r:.80}{nearest(key, KEYS)}")
        kind = table.get("type", "text")
        if kind not in TYPES:
            raise UsageError(f"expected type as {', '.join(TYPES)}, got {kind!r:.80}")
        for key, wanted, words in _KEY_TYPES:
            if key in table and (type(table[key]) not in wanted):
                raise UsageError(f"expected {key} as {words}, got {table[key]!r:.80}")
        values = dict(table)
        values |= {key: tuple(table.get(key, ())) for key in ("choices", "accept")}
        if kind == "file" or "max_bytes" in values:
            values["max_bytes"] = _size(values.get("max_bytes", _FILE_BYTES))
        values.setdefault("required", "default" not in table and kind != "flag")
        param = cls(name, **values)
        param._check_declared()
        return param

    def _check_declared(self) -> None:
        for key, kinds in _OF_TYPES.items():
            if getattr(self, key) not in (None, ()) and self.type not in kinds:
                raise UsageError(f"expected {key} with type {' or '.join(kinds)}, got it with {self.type}")
        if self.type == "choice" and not self.choices:
            raise UsageError('expected choices as a list of texts, such as ["a", "b"], got none')
        if not all(isinstance(one, str) and one and "\0" not in one for one in self.choices):
            raise UsageError(f"expected choices as a list of texts, got {list(self.choices)!r:.80}")
        if self.type == "secret" and self.default is not None:
            raise UsageError("expected no default with a secret: a variable of the command may have it")
        if self.type == "file" and self.default is not None:
            raise UsageError("expected no default with a file: the command may have one of its own")
        if not all(isinstance(one, str) and _SUFFIX.fullmatch(one) for one in self.accept):
            raise UsageError(
                f'expected accept as a list of suffixes, such as [".csv"], got {list(self.accept)!r:.80}'
            )
        if self.type == "flag" and not self.option:
            raise UsageError('expected option with a flag, such as "--force", got none')
        if self.option and not re.fullmatch(r"--?[A-Za-z0-9][A-Za-z0-9._-]*", self.option):
            raise UsageError(f'expected option as "--name" or "-n", got {self.option!r:.80}')
        if self.min is not None and self.max is not None and self.min > self.max:
            raise UsageError(f"expected min to be at most max, got {self.min} and {self.max}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise UsageError(
                    f"expected pattern as a regular expression, got {self.pattern!r:.80}: {error}"
                ) from None
        if self.default is not None:
            if self.required:
                raise UsageError("expected required or a default, got both")
            try:
                self.read(self.default)
            except UsageError as error:
                raise UsageError(f"the default: {error}") from None

    def read(self, value: object) -> Value:
        """Return a value that a client gave, as its own type or as text.

        Raises:
            UsageError: it does not fit.
        """
        match self.type:
            case "int":
                return self._whole(value)
            case "flag":
                return self._flag(value)
            case "choice":
                return self._choice(value)
            case "file":
                return self._file(value)
        return self._text(value)

    def _wrong(self, words: str, value: object) -> UsageError:
        got = "something else" if self.type == "secret" else f"{value!r:.80}"
        return UsageError(f"expected {self.name} as {words}, got {got}")

    def _whole(self, value: object) -> int:
        words = "a whole number" + _range(self.min, self.max)
        if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(words, value)
        if not (self.min is None or value >= self.min) or not (self.max is None or value <= self.max):
            raise self._wrong(words, value)
        return value

    def _flag(self, value: object) -> bool:
        if isinstance(value, str):
            value = _WORDS.get(value, value)
        if not isinstance(value, bool):
            raise self._wrong("true or false", value)
        return value

    def _choice(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            near = nearest(value, self.choices) if isinstance(value, str) else ""
            raise UsageError(f"expected {self.name} as {either(self.choices)}, got {value!r:.80}{near}")
        return value

    def _text(self, value: object) -> str:
        most = _TEXT_CHARACTERS if self.max is None else self.max
        if not isinstance(value, str):
            raise self._wrong("a text", value)
        if control := next((one for one in value if unicodedata.category(one) in ("Cc", "Cs")), None):
            raise self._wrong(f"one line of text without control characters such as {control!r}", value)
        if not (self.min or 0) <= len(value) <= most:
            raise self._wrong(f"{_range(self.min, most).strip()} characters", value)
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise self._wrong(f"a text that matches {self.pattern}", value)
        return value

    def _file(self, value: object) -> Upload:
        if isinstance(value, (str, int)):  # of JSON, or of a field that is none
            raise self._wrong(
                "a file: send it as multipart/form-data with X-Runcast: 1, or by `runcast run -p "
                f"{self.name}=@PATH`",
                value,
            )
        upload = upload_of(self.name, value)
        if self.max_bytes is not None and upload.size > self.max_bytes:
            raise UsageError(
                f"expected {self.name} as a file of at most {self.max_bytes} bytes, got {upload.size}"
            )
        if self.accept:
            fits = [one for one in self.accept if upload.name.lower().endswith(one.lower())]
            if not fits:
                raise self._wrong(f"a file whose name ends with {either(self.accept)}", upload.name)
            upload.suffix = max(fits, key=len)
        return upload

    def to_json(self) -> dict[str, Any]:
        """Return what a form needs to know."""
        values = self._asdict() | {"title": self.title or self.name, "choices": list(self.choices)}
        values["accept"] = list(self.accept)
        del values["name"], values["option"]
        return {key: value for key, value in values.items() if value not in (None, "", [])}


def _range(least: int | None, most: int | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f" of {least} or more"
    return f" from {least} to {most}" if least is not None else f" up to {most}"


def _size(value: Any) -> int:
    try:
        if (found := size(value)) is not None and found > 0:
            return found
    except (ValueError, TypeError):
        pass
    raise UsageError(f"expected max_bytes as a size such as 4096, 64M or 1G, got {value!r:.80}")


_TEXTS = "a text"
_KEY_TYPES: Final = (
    ("title", (str,), _TEXTS),
    ("help", (str,), _TEXTS),
    ("pattern", (str,), _TEXTS),
    ("option", (str,), _TEXTS),
    ("min", (int,), "a whole number"),
    ("max", (int,), "a whole number"),
    ("required", (bool,), "true or false"),
    ("choices", (list, tuple), "a list of texts"),
    ("accept", (list, tuple), 'a list of suffixes, such as [".csv"]'),
    ("max_bytes", (int, str), "a size such as 4096, 64M or 1G"),
    ("default", (str, int, bool), "a text, a whole number, true or false"),
)
_OF_TYPES: Final = {
    "pattern": ("text", "secret"),
    "min": ("text", "int", "secret"),
    "max": ("text", "int", "secret"),
    "choices": ("choice",),
    "max_bytes": ("file",),
    "accept": ("file",),
}
