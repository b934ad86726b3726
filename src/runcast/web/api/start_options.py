"""The options of a command in the body of `POST /runs`: those of the table that a server may take.

They give no power that "any command" does not have: a client that may send them could put the same
into the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from runcast.errors import UsageError
from runcast.options import OPTIONS, Option

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions

__all__ = ["body_options", "start_options"]


def body_options() -> dict[str, Option]:
    """Return the options that a body may have, by their names there."""
    return {option.body: option for option in OPTIONS.values() if option.body}


def start_options(body: Mapping[str, Any]) -> StartOptions:
    """Return the options in a body, as `Store.start` takes them.

    Raises:
        UsageError: an option has another value than it may have.
    """
    found = {}
    for name, option in body_options().items():
        if name in body:
            if not option.type.in_json(body[name]):
                got = "something else" if option.type.secret else f"{body[name]!r:.80}"
                raise UsageError(f'expected "{name}" as {option.type.json_words}, got {got}')
            found[option.name] = body[name]
    return cast("StartOptions", found)
