"""The query parameters of a request for a log, and their syntax.

Unknown parameters are ignored: the URL of a view may have its own. Known ones must be valid, because
starting silently at another offset would lose or repeat output.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runcast.errors import UsageError
from runcast.model import Channel
from runcast.offsets import OFFSET_DIGITS, parse_offset
from runcast.quantities import duration

__all__ = ["START_PARAMS", "Query", "parse_count", "parse_flag", "parse_since"]

START_PARAMS: Final = ("offset", "tail", "line", "since")
_FLAGS: Final = {"": True, "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_CHANNELS: Final = (Channel.STDOUT, Channel.STDERR, Channel.DATA)
_SECONDS: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")
_TO_WAIT: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}")  # a float as programs print it
_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)"
    r"([Zz]|[ +-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Query:
    """The parsed query of a request for a log.

    Attributes:
        offset: where to begin, as text: resolve it with `parse_offset` against the tail.
        tail: begin this many lines before the end.
        line: begin at this line, counted from 1.
        since: begin with the output of this time, in seconds since the epoch.
        channels: only these; None for all.
        follow: continue until the log is closed.
        end: send the outcome as a last line of text.
        named: give events of stderr and data names of their own.
        partial: in events of lines, send an unfinished line after a second without more of it.
        format: the name of the form; see `negotiate`.
        wait: how many seconds a poll may wait for output.
        max: how many items a poll's reply may have.
        interval: send a notice after each so many seconds without output.
        idle_time_limit: to how many seconds a player of the recording shortens a longer silence.
        until: the reply ends with the first line that has this text.
        regex: `until` is a regular expression.
    """

    offset: str | None = None
    tail: int | None = None
    line: int | None = None
    since: float | None = None
    channels: frozenset[Channel] | None = None
    follow: bool = True
    end: bool = False
    named: bool = False
    partial: bool = False
    format: str | None = None
    wait: float | None = None
    max: int | None = None
    interval: float | None = None
    idle_time_limit: float | None = None
    until: str | None = None
    regex: bool = False

    @classmethod
    def parse(cls, parameters: Iterable[tuple[str, str]], *, now: float | None = None) -> Query:
        """Parse the decoded parameters of a query string, in order.

        Args:
            parameters: names and values; `parse_qsl(query, keep_blank_values=True)` gives them.
            now: the time from which a duration in `since` counts back.

        Raises:
            UsageError: a value is invalid, or two parameters contradict each other; names the parameter.
        """
        given: dict[str, str] = {}
        channels: set[Channel] = set()
        for name, value in parameters:
            if name == "channel":
                channels.update(_channel(part) for part in value.split(","))
            elif name in given and name in cls.__dataclass_fields__:
                raise UsageError(f"expected {name} once, got it with {given[name][:40]!r} and {value[:40]!r}")
            else:
                given[name] = value
        places = [name for name in START_PARAMS if name in given]
        if len(places) > 1:
            raise UsageError(f"expected one place to begin, got {' and '.join(places)}: choose one of them")
        if (offset := given.get("offset")) is not None:
            parse_offset(offset, 10**OFFSET_DIGITS)
        return cls(
            offset=offset,
            tail=parse_count(given, "tail", 0),
            line=parse_count(given, "line", 1),
            since=parse_since(given["since"], now) if "since" in given else None,
            channels=frozenset(channels) or None,
            follow=parse_flag(given, "follow", default=True),
            end=parse_flag(given, "end"),
            named=parse_flag(given, "named"),
            partial=parse_flag(given, "partial"),
            format=given.get("format"),
            wait=_seconds(given, "wait"),
            max=parse_count(given, "max", 1),
            interval=_some_seconds(given, "interval"),
            idle_time_limit=_some_seconds(given, "idle_time_limit"),
            until=given.get("until"),
            regex="until" in given and parse_flag(given, "regex"),
        )


def parse_since(text: str, now: float | None = None) -> float:
    """Return a time in seconds since the epoch.

    Args:
        text: a time with its zone in RFC 3339, seconds since the epoch, or a time ago such as `90s`,
            `5m` or `1h30m`.
        now: the time from which `ago` counts back.

    Raises:
        UsageError: it is none of these.
    """
    if _SECONDS.fullmatch(text):
        return float(text)
    if text[-1:].isalpha():  # a number too long for the seconds of an epoch is no duration either
        try:
            return max((time.time() if now is None else now) - duration(text), 0.0)
        except ValueError:
            pass
    if match := _RFC3339.fullmatch(text):
        date, clock, zone = match.groups()
        zone = zone.upper().replace(" ", "+")  # a plus that a query string turned into a space
        try:
            return max(datetime.fromisoformat(f"{date}T{clock}{zone}").timestamp(), 0.0)
        except (ValueError, OverflowError):
            pass
    raise UsageError(
        "expected since to be a time such as 2026-11-21T08:30:00Z, seconds since the epoch, "
        f"or how long ago such as 5m or 1h30m, got {text[:80]!r}"
    )


def _channel(text: str) -> Channel:
    try:
        return _CHANNELS[_CHANNELS.index(Channel(text.strip()))]
    except ValueError:
        raise UsageError(f"expected channel to be stdout, stderr or data, got {text[:80]!r}") from None


def parse_count(given: Mapping[str, str], name: str, least: int) -> int | None:
    """Return a parameter that is a whole number; None if it is not given.

    Raises:
        UsageError: it is something else, or less than `least`.
    """
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or int(text) < least:
        raise UsageError(f"expected {name} to be a whole number of {least} or more, got {text[:80]!r}")
    return int(text)


def _seconds(given: dict[str, str], name: str) -> float | None:
    text = given.get(name)
    if text is None:
        return None
    if not _TO_WAIT.fullmatch(text):
        raise UsageError(f"expected {name} to be a number of seconds such as 20 or 0.5, got {text[:80]!r}")
    return float(text)


def _some_seconds(given: dict[str, str], name: str) -> float | None:
    seconds = _seconds(given, name)
    if seconds == 0:
        raise UsageError(f"expected {name} to be more than 0 seconds, got 0")
    return seconds


def parse_flag(given: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return a parameter that is on or off.

    Raises:
        UsageError: it is neither.
    """
    text = given.get(name)
    if text is None:
        return default
    if text.lower() not in _FLAGS:
        raise UsageError(f"expected {name} to be 1 or 0, got {text[:80]!r}")
    return _FLAGS[text.lower()]
