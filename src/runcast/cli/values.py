"""Values on the command line: durations, sizes, what is kept, times, signals, variables, modes, terminals.

Owns the syntax of the last five. Each function parses a text; the click types around them turn an
invalid text into a usage error.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from typing import Any

import click

from runcast.keep import parse_keep
from runcast.model import CELLS_MOST
from runcast.quantities import duration, size

__all__ = ["CELLS", "DURATION", "KEEP", "MODE", "SIGNAL", "SINCE", "SIZE", "VARIABLE", "Whole", "since"]


def since(text: str) -> float:
    """Return seconds since the epoch, from an RFC 3339 time (local without a zone) or a duration ago.

    Raises:
        ValueError: it is neither.
    """
    try:
        return max(time.time() - duration(text), 0.0)
    except ValueError:
        pass
    from datetime import datetime

    try:
        return max(datetime.fromisoformat(text.upper()).timestamp(), 0.0)
    except (ValueError, OverflowError):
        raise ValueError(
            f"expected a time such as 2026-01-31T12:00:00Z, or a duration ago such as 5m, got {text!r}"
        ) from None


def signal_number(text: str) -> int:
    """Return 15 for `15`, `TERM`, `SIGTERM` or `term`.

    Raises:
        ValueError: there is no such signal.
    """
    name = text.upper()
    names = {one.name: one.value for one in signal.valid_signals() if isinstance(one, signal.Signals)}
    number = int(text) if text.isascii() and text.isdigit() else names.get(name, names.get(f"SIG{name}"))
    if number not in signal.valid_signals():
        raise ValueError(f"expected a signal such as TERM, SIGINT or 9, got {text!r}")
    return int(number)


def variable(text: str) -> tuple[str, str]:
    """Return the name and the value of `NAME=VALUE`.

    Raises:
        ValueError: it has no name or no `=`.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def cells(text: str) -> tuple[int, int]:
    """Return the columns and the rows of `COLSxROWS`.

    Raises:
        ValueError: it has another form, or there is no such size.
    """
    found = re.fullmatch(r"([0-9]{1,9})[xX]([0-9]{1,9})", text)
    size = tuple(map(int, found.groups())) if found else (0, 0)
    if not all(1 <= one <= CELLS_MOST for one in size):
        raise ValueError(f"expected COLSxROWS such as 80x24, each from 1 to {CELLS_MOST}, got {text!r:.80}")
    return size[0], size[1]


def mode(text: str) -> int:
    """Return the permissions of a file in the octal digits of chmod(1): `660`.

    Raises:
        ValueError: it has another form.
    """
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f"expected permissions in octal such as 600 or 660, got {text!r:.80}")
    return int(text, 8)


def keep(text: str) -> str:
    """Return a bound of what is kept, as it was written: `100`, `7d`, `2G`.

    Raises:
        ValueError: it is none.
    """
    parse_keep(text)
    return text


class _Value(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """A click type of one of the functions above."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            raise click.UsageError(f"{_name(param)}{error}", ctx) from None


class Whole(click.IntRange):
    """A whole number, within bounds."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            most = f"from {self.min} to {self.max}" if self.max is not None else f"of {self.min} or more"
            raise click.UsageError(
                f"{_name(param)}expected a whole number {most}, got {value!r:.80}", ctx
            ) from None


def _name(param: click.Parameter | None) -> str:
    return f"{param.opts[-1]}: " if param else ""


DURATION = _Value("duration", duration)
SIZE = _Value("size", size)
KEEP = _Value("rule", keep)
SINCE = _Value("time", since)
SIGNAL = _Value("signal", signal_number)
VARIABLE = _Value("variable", variable)
CELLS = _Value("cells", cells)
MODE = _Value("mode", mode)
