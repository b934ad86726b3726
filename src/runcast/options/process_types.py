"""The types of start options that bound a process: its niceness, its limits, its user.

Owns the checks of values and their messages. What the kernel makes of them is `supervisor/bounded.py`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from runcast.errors import UsageError
from runcast.options.option import nearest
from runcast.options.types import CheckedByReading, OptionType

__all__ = ["LIMITS", "LIMIT_NAMES", "NICE", "USER"]

_NICEST, _LEAST_NICE = 19, -20
_MOST_PROCESSORS = 10_000
_MOST = 2**62  # what setrlimit(2) takes for certain


def _count(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise ValueError(f"expected a number, got {value!r:.80}")
    return value


def _size(value: Any) -> int:
    from runcast.quantities import size  # whose patterns cost more than this module

    with contextlib.suppress(ValueError):
        if (
            isinstance(value, (int, str))
            and not isinstance(value, bool)
            and (count := size(value)) is not None
        ):
            return count
    raise ValueError(f"expected a size such as 4096, 64M or 1G, got {value!r:.80}")


def _members(value: object) -> int:
    if (count := _count(value)) < 1:
        raise ValueError(f"expected a number from 1 on, got {value!r:.80}")
    return count


def _processors(value: Any) -> float:
    with contextlib.suppress(TypeError, ValueError):
        if not isinstance(value, bool) and 0.01 <= (count := float(value)) <= _MOST_PROCESSORS:
            return count
    raise ValueError(f"expected a number of processors such as 0.5 or 2, got {value!r:.80}")


def _seconds(value: Any) -> int:
    from runcast.quantities import duration

    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"expected a duration such as 90, 90s, 5m, 1h30m or 7d, got {value!r:.80}")
    return max(1, round(duration(value, zero=False)))


_LIMITS: Final[Mapping[str, Callable[[Any], int | float]]] = {
    "memory": _size,
    "cpu_time": _seconds,
    "file_size": _size,
    "open_files": _count,
    "processes": _count,
    "core_size": _size,
    "run_memory": _size,
    "run_cpus": _processors,
    "run_processes": _members,
}
LIMIT_NAMES: Final = tuple(_LIMITS)


class _Nice(OptionType):
    python = "int | None"
    words = kept_words = toml_words = f"a number from {_LEAST_NICE} to {_NICEST}"
    toml = int | None

    def takes(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and _LEAST_NICE <= value <= _NICEST

    def is_kept(self, value: object) -> bool:
        return self.takes(value)


class _Limits(CheckedByReading):
    python = "Mapping[str, int | float | str] | None"
    kept_words = "an object of numbers"
    toml = dict[str, int | float | str]
    toml_words = f"a table of {', '.join(LIMIT_NAMES)}"

    def read(self, name: str, value: Any) -> dict[str, int | float] | None:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise UsageError(f"expected {name} as a mapping of names to numbers, got {value!r:.80}")
        found: dict[str, int | float] = {}
        for key, one in value.items():
            if key not in _LIMITS:
                hint = nearest(str(key), LIMIT_NAMES)
                raise UsageError(f"expected in {name} {', '.join(LIMIT_NAMES)}, got {key!r:.80}{hint}")
            try:
                found[key] = _LIMITS[key](one)
            except ValueError as error:
                raise UsageError(f"{name}.{key}: {error}") from None
        return found or None

    def is_kept(self, value: object) -> bool:
        return isinstance(value, dict) and self.takes(value)


class _User(OptionType):
    words = "the name of a user of this machine"
    toml_words = "a string"

    def read(self, name: str, value: Any) -> str | None:
        if value is None:
            return None
        import os
        import pwd

        try:
            user = pwd.getpwnam(value if isinstance(value, str) else "")
        except (KeyError, ValueError):
            raise UsageError(f"expected {name} as {self.words}, got {value!r:.80}") from None
        if os.geteuid() not in (0, user.pw_uid):
            raise UsageError(
                f"expected to be root, or that user, with {name}={value!r}: only root runs as others"
            )
        return user.pw_name


NICE: Final = _Nice()
LIMITS: Final = _Limits()
USER: Final = _User()
