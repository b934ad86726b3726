"""The table of start options: all that is known of each, in one entry.

Every way to start a run reads it: `Store.start` and its twins, `attach`, the clients, `runcast run`,
named commands (`commands=`, `[commands.*]`), the body of `POST /runs`, `run.json`, the description
of the HTTP API and the tables of the reference. A new option is an entry in one of the two modules that
have them (`of_source.py`, `of_run.py`), a key in `typed.py` for editors, and the code that acts on it;
`scripts/start_options.py` then writes the docs. Must not know how a run is started.

The order is that of the reference and of `runcast run --help`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from runcast.errors import UsageError
from runcast.options.of_run import OF_RUN
from runcast.options.of_source import OF_SOURCE
from runcast.options.option import Option, nearest

__all__ = ["OPTIONS", "add", "read", "unknown"]

OPTIONS: Final[dict[str, Option]] = {}


def add(option: Option) -> Option:
    """Enter an option into the table, and return it.

    Raises:
        ValueError: there is one of that name.
    """
    if OPTIONS.setdefault(option.name, option) is not option:
        raise ValueError(f"expected an option with a name of its own, there is one called {option.name}")
    return option


def read(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options with their values in the usual form: those given, and the defaults of the others.

    Raises:
        UsageError: a value is of another type, or has no meaning. Names must be known already.
    """
    values = {option.name: option.default for option in OPTIONS.values()}
    for name, value in given.items():
        values[name] = OPTIONS[name].type.read(name, value)
    return values


def unknown(name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is no option here."""
    names = list(known)
    either = f"{', '.join(names[:-1])} or {names[-1]}"
    return UsageError(f"expected {either}, got {name!r:.80}{nearest(name, names) or ': leave it out'}")


for _option in (*OF_SOURCE, *OF_RUN):
    add(_option)
