"""Durations, sizes and choices as people write and read them: in commands, in the configuration, in URLs.

Owns their syntax, and the message for an invalid one. Imports nothing of runcast.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

__all__ = ["duration", "duration_text", "either", "size"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART = re.compile(_NUMBER + "(ms|[smhdw])")
_SECONDS = re.compile(_NUMBER)
_SIZE = re.compile(_NUMBER + "([KMGT]?)(?:iB|B)?", re.IGNORECASE | re.ASCII)


def duration(value: str | float, *, zero: bool = True) -> float:
    """Return seconds, from a number or a text such as `90`, `90s`, `5m`, `1h30m`, `250ms`, `2d`, `1w`.

    Raises:
        ValueError: it is invalid, or zero where `zero` is not allowed.
    """
    seconds = _seconds(value) if isinstance(value, str) else value
    if not 0 <= seconds < math.inf or (seconds == 0 and not zero):
        raise ValueError(f"expected a duration such as 90, 90s, 5m, 1h30m or 7d, got {value!r:.80}")
    return float(seconds)


def duration_text(seconds: float) -> str:
    """Return seconds as people read them: `85 ms`, `3.1 s`, `5 min 03 s`, `2 h 05 min`, `3 d 4 h`."""
    seconds = max(seconds, 0.0)
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _seconds(text: str) -> float:
    if _SECONDS.fullmatch(text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return math.nan
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def size(value: str | int, *, zero: bool = True) -> int | None:
    """Return bytes, from a number or a text: `4096`, `64M`, `1.5GiB` (powers of 1024); None for `none`.

    Raises:
        ValueError: it is invalid, or zero where `zero` is not allowed.
    """
    if isinstance(value, str) and value.lower() == "none":
        return None
    count = _bytes(value) if isinstance(value, str) else value
    if not 0 <= count < math.inf or (count == 0 and not zero):
        raise ValueError(f"expected a size such as 4096, 64M or 1G, or none, got {value!r:.80}")
    return int(count)


def _bytes(text: str) -> float:
    found = _SIZE.fullmatch(text)
    return float(found[1]) * 1024 ** _POWERS[found[2].upper()] if found else math.nan


def either(words: Iterable[str]) -> str:
    """Return words, each once, as a choice: `a, b or c`."""
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last
