"""Parameters of named commands: what a client may choose, and where it stands on the command line.

    [commands.deploy]
    command = ["./deploy.sh", "{force}", "--", "{target}"]

    [commands.deploy.params.target]
    type = "choice"
    choices = ["staging", "production"]

Owns the places of values; which values there may be is param.py's. A value is always one whole argument, or
part of the one that its option begins: no shell, and no other argument, ever sees it. What looks like an
option is refused where the program could take it for one. Does not know how a run is started.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from runcast.errors import UsageError
from runcast.options import nearest
from runcast.sysio.uploads import Upload
from runcast.web.api.param import KEYS, Param, Value

__all__ = ["KEYS", "Param", "Params", "Value"]

_ITEM = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


class Params:
    """The parameters of a command, and their places in it.

    Args:
        command: its arguments; `{P}`, alone in one, is the place of the parameter P.
        tables: what was declared of each, by its name.
        shell: whether a shell is to read the command.

    Attributes:
        tables: as they came.

    Raises:
        UsageError: a declaration has no meaning, or no place.
    """

    def __init__(self, command: object, tables: Mapping[str, object], *, shell: bool) -> None:
        self.tables = tables
        self._declared = {name: _declared(name, table) for name, table in tables.items()}
        self._items: Sequence[str] = ()
        if not self._declared:
            return
        if shell or not isinstance(command, (list, tuple)):
            raise UsageError(
                "expected command as a list of arguments, since it has params: each of them is one argument, "
                "which no shell reads"
            )
        self._items = [str(item) for item in command]
        places = [match[1] for item in self._items if (match := _ITEM.fullmatch(item))]
        for name in self._declared:
            if name not in places:
                place = f"{{{name}}}"
                inside = next((item for item in self._items if place in item), None)
                got = (
                    f", got it inside {inside!r:.80}: what stands before a value is its option"
                    if inside
                    else ""
                )
                raise UsageError(
                    f'expected "{place}" as an item of command, the place of the parameter {name}{got}'
                )
        for name in places:
            if name not in self._declared:
                near = nearest(name, self._declared)
                raise UsageError(f'expected a parameter of the name in "{{{name}}}", got none{near}')
        if _ITEM.fullmatch(self._items[0]):
            raise UsageError(f"expected a program first in command, got the parameter {self._items[0]}")

    def __bool__(self) -> bool:
        return bool(self._declared)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it has mappings

    def __iter__(self) -> Iterator[Param]:
        return iter(self._declared.values())

    def read(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Return the values of a start: those given, and the defaults of the others.

        Raises:
            UsageError: one is unknown, missing or does not fit.
        """
        for name in given:
            if name not in self._declared:
                known = (
                    f"one of {', '.join(self._declared)}" if self._declared else "none: this command has none"
                )
                raise UsageError(
                    f"expected as a parameter {known}, got {name!r:.80}{nearest(name, self._declared)}"
                )
        found: dict[str, Value] = {}
        for name, param in self._declared.items():
            value = given.get(name)
            if value is None:
                if param.required:
                    raise UsageError(f"expected the parameter {name}, got none")
                if param.default is not None:
                    found[name] = param.read(param.default)
            else:
                found[name] = param.read(value)
        return found

    def secrets(self, values: Mapping[str, Value]) -> list[str]:
        """Return those of the values that nobody may see."""
        return [str(value) for name, value in values.items() if self._declared[name].type == "secret"]

    @property
    def upload_bytes(self) -> int:
        """How long all files of a start may be together; 0 where it takes none."""
        return sum(one.max_bytes or 0 for one in self._declared.values())

    def place(self, values: Mapping[str, Value]) -> list[str]:
        """Return the arguments with the values in their places.

        Raises:
            UsageError: a value could be taken for an option.
        """
        placed: list[str] = []
        for item in self._items:
            match = _ITEM.fullmatch(item)
            if match is None:
                placed.append(item)
            elif (value := values.get(match[1])) is not None:
                placed += self._arguments(self._declared[match[1]], value, after_options="--" in placed)
        return placed

    def _arguments(self, param: Param, value: Value, *, after_options: bool) -> list[str]:
        if param.type == "flag":
            return [param.option] if value else []
        text = value.token if isinstance(value, Upload) else str(value)
        if param.option:
            return [f"{param.option}={text}"] if param.option.startswith("--") else [param.option, text]
        declared = param.type == "choice" or (param.type == "int" and (param.min or 0) < 0)
        if text.startswith("-") and not after_options and not declared:
            raise UsageError(
                f"expected {param.name} without - in front, which the program could take for an option"
                + ("" if param.type == "secret" else f", got {text!r:.80}")
            )
        return [text]


def _declared(name: str, table: object) -> Param:
    try:
        return Param.declared(name, table)
    except UsageError as error:
        raise UsageError(f"params.{name}: {error}") from None
