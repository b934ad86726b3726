"""Durations and sizes as people write them: on the command line, in the configuration, in URLs.

Owns their spelling, and the sentence for what is none. Imports nothing of ours.
"""

from __future__ import annotations

import math
import re

__all__ = ["duration", "size"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART = re.compile(_NUMBER + "(ms|[smhdw])")
_SECONDS = re.compile(_NUMBER)
_SIZE = re.compile(_NUMBER + "([KMGT]?)(?:iB|B)?", re.IGNORECASE | re.ASCII)


def duration(value: str | float, *, zero: bool = True) -> float:
    """Return seconds: of a number, or of `90`, `90s`, `5m`, `1h30m`, `250ms`, `2d`, `1w`.

    Raises:
        ValueError: it is none of these, or nothing where `zero` is not allowed.
    """
    seconds = _seconds(value) if isinstance(value, str) else value
    if not 0 <= seconds < math.inf or (seconds == 0 and not zero):
        raise ValueError(f"expected a duration such as 90, 90s, 5m or 1h30m, got {value!r:.80}")
    return float(seconds)


def _seconds(text: str) -> float:
    if _SECONDS.fullmatch(text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return math.nan
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def size(value: str | int, *, zero: bool = True) -> int | None:
    """Return bytes: of a number, or of `4096`, `64M`, `1.5GiB` (powers of 1024); None for `none`.

    Raises:
        ValueError: it is none of these, or nothing where `zero` is not allowed.
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
