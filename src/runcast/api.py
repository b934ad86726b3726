"""The functions of `import runcast`: one call for the usual thing, in the default store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from runcast.readers import drive
from runcast.run import Channels, Run, follow_runs
from runcast.sources.command import Command
from runcast.store import Store

__all__ = ["follow", "get", "start"]


def start(command: Command, *, store: Store | str | None = None, **options: Any) -> Run:
    """Start a command in the default store, or another; see `Store.start` for the options."""
    return _store(store).start(command, **options)


def get(run_id: str, *, store: Store | str | None = None) -> Run:
    """Return a run of the default store, or another; see `Store.get`."""
    return _store(store).get(run_id)


def follow(
    runs: Collection[Run], *, timeout: float | None = None, channel: Channels = None
) -> Iterator[tuple[Run, str] | None]:
    """Yield (run, line) of several runs as they come, until all are closed.

    Args:
        runs: the runs.
        timeout: yield None whenever nothing came for so many seconds.
        channel: only this channel, or these.
    """
    return drive(follow_runs(runs, timeout, channel))


def _store(store: Store | str | None) -> Store:
    return store if isinstance(store, Store) else Store.open(store)
