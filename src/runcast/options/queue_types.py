"""The types of start options that have a run wait: the name of its queue, and how many may go on at once.

Owns the checks of values and their messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runcast.options.types import Number, OptionType

__all__ = ["QUEUE", "RUNNING"]

_QUEUE_CHARACTERS = 64


class _Running(Number):
    """How many runs may go on at once; None for what the queue has."""

    most = 1000
    python = "int | None"
    json_words = kept_words = toml_words = f"a number from 1 to {most}"
    schema: Mapping[str, object] = {"type": "integer", "minimum": 1, "maximum": most}
    toml = int | None

    def read(self, name: str, value: Any) -> Any:
        return None if value is None else super().read(name, value)


class _Queue(OptionType):
    """The name of a queue, which is that of a folder as well."""

    words = json_words = toml_words = "a name of up to 64 letters, digits and . _ -, a letter or digit first"
    schema: Mapping[str, object] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}

    def takes(self, value: Any) -> bool:
        return (
            isinstance(value, str)
            and len(value) <= _QUEUE_CHARACTERS
            and value[:1].isalnum()
            and value.isascii()
            and all(one.isalnum() or one in "._-" for one in value)
        )

    def in_json(self, value: object) -> bool:
        return self.takes(value)


RUNNING: Final = _Running()
QUEUE: Final = _Queue()
