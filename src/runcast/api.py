"""The functions of `import runcast`: shortcuts for the default store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Unpack

from runcast.readers import drive
from runcast.run import Run
from runcast.run.arguments import Channels
from runcast.run.local import follow_runs
from runcast.runs import Store
from runcast.sources.kinds import Source

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions

__all__ = ["follow", "get", "start"]


def start(
    source: Source, *args: Any, store: Store | str | None = None, **options: Unpack[StartOptions]
) -> Run:
    """Start a command, a function or a generator in the default store, or another; see `Store.start`.

    Positional arguments behind a function are passed to it. Keyword arguments are options of `start`;
    those of the function go into `kwargs={...}`.
    """
    return _store(store).start(source, *args, **options)


def get(run_id: str, *, store: Store | str | None = None) -> Run:
    """Return a run of the default store, or another; see `Store.get`."""
    return _store(store).get(run_id)


def follow(
    runs: Collection[Run], *, timeout: float | None = None, channel: Channels = None
) -> Iterator[tuple[Run, str] | None]:
    """Yield (run, line) of several runs as they come, until all are closed.

    Args:
        runs: the runs.
        timeout: yield None after each so many seconds without output.
        channel: only this channel, or these.
    """
    return drive(follow_runs(runs, timeout, channel))


def _store(store: Store | str | None) -> Store:
    return store if isinstance(store, Store) else Store.open(store)
