"""The functions of `import runcast`, awaited: same names, `AsyncRun` in place of `Run`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Any, Literal, Unpack, overload

from runcast import api
from runcast.errors import RunFinished
from runcast.model import Chunk, Outcome
from runcast.own_thread import in_own_thread, in_pool
from runcast.readers import drive_async
from runcast.readers.text import text_of
from runcast.run_base import Channels, Place, RunBase, follow_runs
from runcast.sources.kinds import Kind, Source, kind_of
from runcast.store import Store

__all__ = ["AsyncRun", "follow", "get", "start"]


class AsyncRun(RunBase):
    """A run. Waiting suspends the calling task."""

    def follow(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> AsyncIterator[Chunk | None]:
        """Yield chunks as they come, from the beginning or another place, until the log is closed."""
        return drive_async(self._follow_steps(timeout, channel, **place))

    def lines(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> AsyncIterator[str | None]:
        """Yield lines as they come, without their LF or CRLF; see `follow` for where to begin."""
        return drive_async(self._line_steps(self._follow_steps(timeout, channel, **place)))

    @overload
    async def output(
        self,
        *,
        channel: Channels = None,
        encoding: str = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str: ...

    @overload
    async def output(
        self,
        *,
        channel: Channels = None,
        encoding: None,
        timeout: float | None = None,
        check: bool | None = None,
    ) -> bytes: ...

    async def output(
        self,
        *,
        channel: Channels = None,
        encoding: str | None = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str | bytes:
        """Wait for the end and return all output, stdout and stderr as they came, or one `channel`."""
        await self.wait(timeout=timeout, check=check)
        chunks = [chunk async for chunk in self.follow(channel=channel) if chunk]
        return b"".join([one.data for one in chunks]) if encoding is None else text_of(chunks, encoding)

    async def wait(self, *, timeout: float | None = None, check: bool | None = None) -> Outcome:
        """Wait for the end and return the outcome."""
        outcome = await anext(drive_async(self._wait_steps(timeout)), None)
        return self._judge(outcome, timeout, check)

    async def stop(self, *, grace: float = 5.0, signal: int = SIGTERM) -> None:
        """Ask the run to end; kill all of it if it has not within `grace` seconds. Does not wait."""
        await in_pool(self._control, self._stop_request(grace, signal))

    async def kill(self) -> None:
        """Kill the run and everything it started, at once. Does not wait. Raises what `stop` does."""
        await in_pool(self._control, self._stop_request(0, SIGKILL))

    async def signal(self, number: int) -> None:
        """Send a signal to the run's process group. Raises what `stop` does."""
        await in_pool(self._control, self._signal_request(number))

    async def send(self, data: bytes | str, *, eof: bool = False) -> None:
        """Write to the run's stdin (`start(stdin="pipe")`); returns when the program has taken it."""
        payload = data.encode() if isinstance(data, str) else data
        await in_own_thread(self._control, {"op": "stdin", "eof": eof}, payload)

    async def __aenter__(self) -> AsyncRun:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """Wait for the end; stop the run first if the block was left by an error."""
        if kind is not None and not self.closed:
            try:
                await self.stop()
            except RunFinished:
                return False
        if kind is None:
            await self.wait()
        else:
            await self.wait(check=False)
        return False


async def start(source: Source, *args: Any, store: Store | str | None = None, **options: Any) -> AsyncRun:
    """Start a command, a function or a generator in the default store, or another; see `Store.start`.

    What is `async` runs in the event loop of the caller.
    """
    if kind_of(source) in (Kind.ASYNC_FUNCTION, Kind.COROUTINE, Kind.ASYNC_GENERATOR):
        run = api.start(source, *args, store=store, **options)
    else:
        run = await in_pool(api.start, source, *args, store=store, **options)
    return AsyncRun(run.directory.path, check=bool(options.get("check")))


async def get(run_id: str, *, store: Store | str | None = None) -> AsyncRun:
    """Return a run of the default store, or another; see `Store.get`."""
    run = await in_pool(api.get, run_id, store=store)
    return AsyncRun(run.directory.path)


def follow(
    runs: Collection[AsyncRun], *, timeout: float | None = None, channel: Channels = None
) -> AsyncIterator[tuple[AsyncRun, str] | None]:
    """Yield (run, line) of several runs as they come, until all are closed."""
    return drive_async(follow_runs(runs, timeout, channel))
