"""The table of programs, `programs.toml`, which says what each key of an entry means.

Owns its reading and the type of an entry. The docs have it as a table, and tests measure it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

__all__ = ["AT_END", "AT_ONCE", "NO_START", "Program", "Waiter", "programs", "quiet", "waiters"]

AT_ONCE: Final = "at once"
AT_END: Final = "at the end"
NO_START: Final = "does not start"
_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs.toml")


@dataclass(frozen=True)
class Program:
    """One entry; see the head of the file for its fields."""

    name: str
    version: str
    pipe: str
    line_buffered: str
    tty: str
    cure: str = ""
    match: tuple[str, ...] = ()
    cured_by: tuple[str, ...] = ()
    cured_in: str = ""
    only_with: tuple[str, ...] = ()
    arguments_in: tuple[str, ...] = ()
    say: str = ""
    frozen: bool = False
    tried: tuple[str, ...] = ()

    def cure_of(self, name: str) -> str:
        """Return what to write instead of a program that has this name."""
        return self.cure.replace("{name}", name)


@dataclass(frozen=True)
class Waiter:
    """A program that waits for a person; see the head of the file for its fields."""

    match: tuple[str, ...]
    say: str
    terminal: bool = False
    alone: bool = False
    only_with: tuple[str, ...] = ()


@cache
def programs() -> tuple[Program, ...]:
    """Return the entries of programs, in the order of the file."""
    return tuple(Program(**_fields(entry)) for entry in _content()["program"])


@cache
def waiters() -> tuple[Waiter, ...]:
    """Return the entries of those that wait for a person."""
    return tuple(Waiter(**_fields(entry)) for entry in _content()["waiter"])


@cache
def quiet() -> tuple[str, ...]:
    """Return the names of programs that print nothing."""
    return tuple(_content()["quiet"])


def _content() -> dict[str, Any]:
    import tomllib  # takes some milliseconds, and few runs need a hint

    with open(_FILE, "rb") as file:
        return tomllib.load(file)


def _fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    named = {"tried" if key == "try" else key: value for key, value in entry.items()}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in named.items()}
