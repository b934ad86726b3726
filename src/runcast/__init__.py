"""runcast: run anything, watch it live from anywhere.

A run's output is one append-only log, and every reader is an offset into it. For example::

    import runcast

    run = runcast.start(["make", "-j4"])
    for line in run.lines():
        print(line)
    print(run.wait())

Names are loaded when they are first used: importing this costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runcast._version import __version__

if TYPE_CHECKING:
    from runcast.api import follow, get, start
    from runcast.attached import (
        attach,
        current_run,
        progress,
        record,
        release_prints,
        should_stop,
    )
    from runcast.errors import RuncastError, RunStopped
    from runcast.model import Channel, Chunk, Note, Outcome, Reason, State, TerminalSize
    from runcast.readers.line_search import FoundLine
    from runcast.readers.lines import Line
    from runcast.run.aio import AsyncRun
    from runcast.run.sync import Run
    from runcast.runs import Store

__all__ = [
    "AsyncRun",
    "Channel",
    "Chunk",
    "FoundLine",
    "Line",
    "Note",
    "Outcome",
    "Reason",
    "Run",
    "RunStopped",
    "RuncastError",
    "State",
    "Store",
    "TerminalSize",
    "__version__",
    "attach",
    "current_run",
    "follow",
    "get",
    "progress",
    "record",
    "release_prints",
    "should_stop",
    "start",
]

_HOMES = {
    "api": ("follow", "get", "start"),
    "attached": ("attach", "current_run", "progress", "record", "release_prints", "should_stop"),
    "errors": ("RunStopped", "RuncastError"),
    "model": ("Channel", "Chunk", "Note", "Outcome", "Reason", "State", "TerminalSize"),
    "readers.line_search": ("FoundLine",),
    "readers.lines": ("Line",),
    "run.aio": ("AsyncRun",),
    "run.sync": ("Run",),
    "runs": ("Store",),
}


def __getattr__(name: str) -> object:
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(importlib.import_module(f"runcast.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'runcast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
