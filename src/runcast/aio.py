"""The functions of `import runcast`, awaited: same names, `AsyncRun` in place of `Run`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any, Unpack

from runcast import api
from runcast.own_thread import in_pool
from runcast.readers import drive_async
from runcast.run.aio import AsyncRun
from runcast.run.arguments import Channels
from runcast.run.base import files_of
from runcast.run.local import follow_runs
from runcast.runs import Store
from runcast.sources.kinds import Kind, Source, kind_of
from runcast.sources.run_context import note_starter

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions

__all__ = ["AsyncRun", "follow", "get", "start"]


async def start(
    source: Source, *args: Any, store: Store | str | None = None, **options: Unpack[StartOptions]
) -> AsyncRun:
    """Start a command, a function or a generator in the default store, or another; see `Store.start`.

    What is `async` runs in the event loop of the caller.
    """
    kind = kind_of(source)
    if kind in (Kind.ASYNC_FUNCTION, Kind.COROUTINE, Kind.ASYNC_GENERATOR):
        run = api.start(source, *args, store=store, **options)
    else:
        note_starter()  # before what starts it is another context
        run = await in_pool(api.start, source, *args, store=store, **options)
    lazy = False if kind is Kind.COMMAND else None
    return AsyncRun(files_of(run).path, check=bool(options.get("check")), lazy=lazy)


async def get(run_id: str, *, store: Store | str | None = None) -> AsyncRun:
    """Return a run of the default store, or another; see `Store.get`."""
    run = await in_pool(api.get, run_id, store=store)
    return AsyncRun(files_of(run).path)


def follow(
    runs: Collection[AsyncRun], *, timeout: float | None = None, channel: Channels = None
) -> AsyncIterator[tuple[AsyncRun, str] | None]:
    """Yield (run, line) of several runs as they come, until all are closed."""
    return drive_async(follow_runs(runs, timeout, channel))
