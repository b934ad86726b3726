"""Who is behind something: the person or the program, and how it is known.

Owns the value, its text and its JSON. Knows neither requests nor rights: who found out says it
(`acting.py` has it for the code that is called meanwhile).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = ["RETENTION", "TOKEN", "VISITOR", "Kind", "Who", "who_in"]


class Kind(StrEnum):
    """How somebody is known."""

    COMMAND_LINE = "command line"
    """A user of the machine, at `runcast`; the name is the system's."""
    PYTHON = "python"
    """A user of the machine, by a program that uses the library; the name is the system's."""
    USER = "user"
    """Somebody whom the application knows, by its own login."""
    PROXY_USER = "proxy user"
    """Somebody whom a trusted proxy knows, and names in a header."""
    TOKEN = "token"
    """A client with the server's token; without a name."""
    SCOPED_TOKEN = "scoped token"
    """A program with a token of its own; the name is the token's."""
    HOOK = "hook"
    """Another service, by a delivery that it signed; the name is that of the command with the hook."""
    SHARE_LINK = "share link"
    """A client with a share link; without a name."""
    VISITOR = "visitor"
    """Nobody knows who; without a name."""
    RETENTION = "retention"
    """Nobody: a rule that says what stays; without a name."""


class Who(NamedTuple):
    """The person or the program behind something.

    Attributes:
        kind: how it is known: one of `Kind`, or that of a later version.
        name: its name among those of its kind; empty where they have none.
    """

    kind: str
    name: str = ""

    def __str__(self) -> str:
        match self.kind:
            case Kind.COMMAND_LINE:
                return f"{self.name}, on the command line"
            case Kind.PYTHON:
                return f"{self.name}, by Python"
            case Kind.TOKEN:
                return "the server's token"
            case Kind.SCOPED_TOKEN:
                return f"the token {self.name}"
            case Kind.HOOK:
                return f"the hook {self.name}"
            case Kind.SHARE_LINK | Kind.VISITOR:
                return f"a {self.kind}"
        return self.name or self.kind

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"kind": str(self.kind), "name": self.name}

    @classmethod
    def from_json(cls, value: object) -> Who | None:
        """Restore it from `to_json`; None where it is something else."""
        if not isinstance(value, Mapping):
            return None
        kind, name = value.get("kind"), value.get("name", "")
        return cls(kind, name) if isinstance(kind, str) and isinstance(name, str) else None


def who_in(record: Mapping[str, Any], field: str) -> Who | None:
    """Return who stands in a field of a record, or None."""
    return Who.from_json(record.get(field))


TOKEN = Who(Kind.TOKEN)
VISITOR = Who(Kind.VISITOR)
RETENTION = Who(Kind.RETENTION)
