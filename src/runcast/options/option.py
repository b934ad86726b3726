"""One start option: its entry in the table, and what may be done with it.

Owns what an entry says, and the refusal of an option for what cannot take it. Must not know which options
there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from runcast.errors import UsageError
from runcast.options.types import OptionType

__all__ = [
    *("ANYTHING", "COMMAND", "FUNCTION", "GENERATOR", "HERE", "KEPT", "KEPT_OR_NULL", "PROCESS"),
    *("TAKERS", "Option", "nearest"),
]

# What takes an option: a set of bits. PROCESS is a function in a process of its own.
COMMAND, PROCESS, FUNCTION, GENERATOR = 1, 2, 4, 8
HERE = FUNCTION | GENERATOR  # what runs in this process
ANYTHING = COMMAND | PROCESS | HERE
TAKERS: Final = {  # in messages and in the reference
    COMMAND: "a command",
    COMMAND | PROCESS: "a command or process=True",
    HERE: "what runs in this process",
    PROCESS: "a function",
    PROCESS | HERE: "a function or a generator",
}

KEPT, KEPT_OR_NULL = 1, 2  # in run.json


class Option:
    """One option of a start.

    Attributes:
        name: its keyword in Python, and its key in TOML and in `run.json`.
        type: what values it takes.
        summary: its sentence in the reference, in Markdown, true of every way to start a run.
        more: what the reference of the Python API adds to it; a link there begins with `#`.
        default: its value where nobody gives one.
        takers: the kinds of source that take it, as a set of bits.
        block: whether `attach` and `record` take it.
        instead: what to do where another kind of source is given the option.
        kept: whether `run.json` has it, maybe as null.
        supervised: whether the supervisor needs it; then it is kept, and a command takes it.
        of_command: whether it belongs to the command, so that a named command may have it.
        body: its name in the body of `POST /runs`; empty where a server may not take it from the web.
        cli: its sentence in `runcast run --help`; empty where that does not have it.
    """

    __slots__ = (
        *("block", "body", "cli", "default", "instead", "kept", "more", "name", "of_command"),
        *("summary", "supervised", "takers", "type"),
    )

    def __init__(
        self,
        name: str,
        type: OptionType,
        summary: str,
        *,
        more: str = "",
        default: Any = None,
        takers: int = ANYTHING,
        block: bool = False,
        instead: str = "leave it out",
        kept: int = 0,
        supervised: bool = False,
        of_command: bool = False,
        body: str = "",
        cli: str = "",
    ) -> None:
        self.name, self.type, self.default = name, type, default
        self.summary, self.more = summary, more
        self.takers, self.block, self.instead = takers, block, instead
        self.kept, self.supervised, self.of_command = kept, supervised, of_command
        self.body, self.cli = body, cli

    @property
    def again(self) -> bool:
        """Whether `rerun` starts with the same: what a command or a person gave, and no view of the web."""
        return bool(self.kept) and (bool(self.body) or self.of_command)

    @property
    def kept_words(self) -> str:
        """What `run.json` is expected to have, in a message."""
        return f"{self.type.kept_words} or null" if self.kept == KEPT_OR_NULL else self.type.kept_words

    def is_kept(self, value: object) -> bool:
        """Return whether `run.json` may have a value."""
        return (value is None and self.kept == KEPT_OR_NULL) or self.type.is_kept(value)

    def refuse_for(self, taker: int, value: Any, kind: str) -> None:
        """Refuse a value where this kind of source does not take the option.

        A value that asks for nothing is let through: None, False for a flag, an empty text or mapping.

        Raises:
            UsageError: the source does not take it.
        """
        asks = value or (value is False and self.default is None)
        if asks and not taker & self.takers:
            given = f"{self.name}=True" if value is True else self.name
            where = " that runs in this process" if self.takers == COMMAND | PROCESS else ""
            raise UsageError(
                f"expected {given} with {TAKERS[self.takers]} only, got a {kind}{where}: {self.instead}"
            )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `: did you mean …?` with the name that one is like; empty where there is none."""
    import difflib  # like others here: it costs a millisecond, and few need it

    near = difflib.get_close_matches(name, list(known), 1)
    return f": did you mean {near[0]}?" if near else ""
