"""What the body of `POST /runs` may say of a command, beside the command itself.

Owns the names and the checks of these options. They give no power that "any command" does not
have: whoever may send them could say the same in the command.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from runcast.errors import UsageError

__all__ = ["OPTIONS", "start_options"]


def _text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _seconds(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 < value <= sys.float_info.max


def _variables(value: object) -> bool:
    return isinstance(value, dict) and all(map(_text, [*value, *value.values()]))


def _cap(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "title": (_text, "a text"),
    "shell": (lambda value: isinstance(value, bool), "true or false"),
    "cwd": (_text, "the name of a folder"),
    "env": (_variables, "an object of texts"),
    "stdin": (lambda value: value == "pipe", '"pipe"'),
    "timeout": (_seconds, "seconds, more than 0"),
    "idle_timeout": (_seconds, "seconds, more than 0"),
    "cap": (_cap, "bytes, more than 0, or null for no limit"),
}
OPTIONS = frozenset(_CHECKS)


def start_options(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says beside "command", as `Store.start` takes it.

    Raises:
        UsageError: an option has another value than it may have.
    """
    found = {}
    for name, (good, expected) in _CHECKS.items():
        if name in asked:
            if not good(asked[name]):
                raise UsageError(f'expected "{name}" as {expected}, got {asked[name]!r:.80}')
            found["name" if name == "title" else name] = asked[name]
    return found
