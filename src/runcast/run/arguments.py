"""The arguments of a run's verbs, for every kind of run: their types and their checks.

Pure: knows no run, no file and no server.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from signal import valid_signals
from typing import Any, TypedDict

from runcast.errors import UsageError
from runcast.model import CELLS_MOST, Channel

__all__ = [
    *("Channels", "Place", "channels_of", "check_place", "check_terminal", "grace_of", "pattern_of"),
    *("signal_of", "size_of"),
]

Channels = Channel | str | Collection[Channel | str] | None


class Place(TypedDict, total=False):
    """Where to begin to read; at most one of them.

    Attributes:
        offset: at this offset (bytes).
        tail: so many lines before the end.
        tail_bytes: so many bytes before the end.
        line: at this line, counted from 1.
        since: with what came at this time (seconds since the epoch) or later.
    """

    offset: int | None
    tail: int | None
    tail_bytes: int | None
    line: int | None
    since: float | None


def channels_of(channel: Channels) -> frozenset[Channel] | None:
    """Return the channels that an argument names; None stands for all.

    Raises:
        UsageError: one of them does not exist.
    """
    if channel is None:
        return None
    try:
        return frozenset(map(Channel, [channel] if isinstance(channel, str) else channel))
    except ValueError:
        raise UsageError(f"expected channels among stdout, stderr and data, got {channel!r}") from None


def check_place(place: Place) -> None:
    """Refuse a keyword that is no place to begin, as a function without `**place` would.

    Raises:
        TypeError: as Python raises it.
    """
    if unknown := sorted(place.keys() - Place.__annotations__.keys()):
        raise TypeError(f"got an unexpected keyword argument {unknown[0]!r}")


def signal_of(number: int) -> int:
    """Return the number of a signal.

    Raises:
        UsageError: there is no such signal.
    """
    if number not in valid_signals():
        raise UsageError(f"expected the number of a signal, such as signal.SIGTERM, got {number!r}")
    return int(number)


def grace_of(seconds: float) -> float:
    """Return the seconds that a run has to end by itself.

    Raises:
        UsageError: they are negative, or no number.
    """
    if not seconds >= 0:
        raise UsageError(f"expected a grace of 0 seconds or more, got {seconds}")
    return seconds


def check_terminal(run: str, tty: object) -> None:
    """Refuse what only a run with a terminal has.

    Raises:
        UsageError: it has none.
    """
    if not tty:
        raise UsageError(f"expected a run with a terminal (tty=True), run {run} writes into pipes")


def size_of(columns: int, rows: int) -> dict[str, Any]:
    """Return the size of a terminal as a request has it.

    Raises:
        UsageError: there is no such size.
    """
    for name, value in (("columns", columns), ("rows", rows)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= CELLS_MOST:
            raise UsageError(f"expected {name} as a number from 1 to {CELLS_MOST}, got {value!r:.80}")
    return {"columns": columns, "rows": rows}


def pattern_of(text: str, *, regex: bool) -> re.Pattern[str]:
    """Return what matches the lines with a text, or those that a regular expression matches.

    Raises:
        UsageError: no line can hold the text, every line does, or the expression is invalid.
    """
    if not text or "\n" in text:
        got = "one with a line end, which no line has" if text else "an empty one, which every line has"
        raise UsageError(f"expected a text within one line, got {got}: {text[:80]!r}")
    try:
        return re.compile(text if regex else re.escape(text))
    except re.error as error:
        raise UsageError(f"expected a regular expression, got {text[:80]!r}: {error}") from None
