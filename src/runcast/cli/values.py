"""Values as people type them: durations, sizes, times, signals, variables.

Owns the spelling of the last three. Each function takes the text and returns the value; the click
types around them only make a wrong text a usage error.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import click

from runcast.quantities import duration, size

__all__ = ["DURATION", "SIGNAL", "SINCE", "SIZE", "VARIABLE", "since"]


def since(text: str) -> float:
    """Return seconds since the epoch: of an RFC 3339 time (local where it has no zone), or so long ago.

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


def _name(param: click.Parameter | None) -> str:
    return f"{param.opts[-1]}: " if param else ""


DURATION = _Value("duration", duration)
SIZE = _Value("size", size)
SINCE = _Value("time", since)
SIGNAL = _Value("signal", signal_number)
VARIABLE = _Value("variable", variable)
