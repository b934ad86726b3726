"""Async generators and iterables as runs: as generator.py, advanced by tasks of an event loop.

Owns the wait between values. Without demand there is no task. Everything but `request` and `stop`
runs in the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from runcast.model import Outcome
from runcast.sources.generator import Demand, encode
from runcast.sources.recording import Recording
from runcast.sources.task import context_for

__all__ = ["run_async_iterator"]

_IDLE_SECONDS = 1.0


def run_async_iterator(
    recording: Recording, iterable: AsyncIterable[Any], ahead: int | None, loop: asyncio.AbstractEventLoop
) -> None:
    """Have an async iterable produce the output of a run, on demand."""
    lazy = _LazyAsyncIterator(recording, iterable, ahead, loop)
    recording.loop = loop
    recording.raises = False
    recording.interrupt = recording.force_stop = lazy.stop
    recording.on_demand = lazy.request
    if ahead is None:
        lazy.request(0)


class _LazyAsyncIterator:
    """An async iterator and the task that advances it, while there is one."""

    def __init__(
        self,
        recording: Recording,
        iterable: AsyncIterable[Any],
        ahead: int | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._recording = recording
        self._iterable = iterable
        self._iterator: AsyncIterator[Any] | None = None
        self._demand = Demand(ahead)
        self._lock = threading.Lock()
        self._context = context_for(loop)
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._news: asyncio.Event | None = None
        self._begun = False  # whether the task has run; cancelling it before would skip its cleanup

    def request(self, offset: int) -> None:
        with self._lock:
            self._demand.request(offset)
            more = self._demand.more
        if more and not self._call(self._go):
            self._recording.finish_soon(self._recording.outcome(1, "its event loop was closed"))

    def stop(self) -> None:
        if not self._call(self._stop):
            self._recording.finish_soon(self._recording.outcome(None))

    def _call(self, call: Any) -> bool:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call, context=self._context)
            return True
        return False

    def _go(self) -> None:
        if self._iterable is None:  # it noticed the stop before this call ran
            return
        if self._task is None or self._task.done():
            self._news = asyncio.Event()
            self._begun = False
            self._task = self._loop.create_task(self._work(), name=f"run {self._recording.id}")
            self._task.add_done_callback(self._done)
        elif self._news is not None:
            self._news.set()

    def _stop(self) -> None:
        self._go()
        if self._task is not None and self._begun:
            self._task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        if not self._begun:  # the loop ended before its first step
            self._recording.finish_soon(self._cancelled())

    def _cancelled(self) -> Outcome:
        stopping = self._recording.stopping is not None
        return self._recording.outcome(None if stopping else 1, "" if stopping else "its task was cancelled")

    async def _work(self) -> None:
        self._begun = True
        recording = self._recording
        outcome: Outcome | None = None
        try:
            with recording.recording():
                try:
                    if self._iterator is None:
                        self._iterator = aiter(self._iterable)
                    while recording.stopping is None:
                        more = self._demand.more or await self._wait()
                        if recording.stopping is not None:
                            break
                        if not more:
                            return recording.park()
                        await self._advance(self._iterator)
                    outcome = await self._close(self._iterator)
                except StopAsyncIteration:
                    outcome = recording.outcome(0)
                except asyncio.CancelledError:
                    outcome = self._cancelled()
                    if recording.stopping is None:
                        raise
                    outcome = await self._close(self._iterator)
                except BaseException as error:
                    outcome = recording.failed(error, skip=2)
                    await self._close(self._iterator)  # a value may have been refused: it has not ended
        except Exception as error:  # before or behind the code: a fault of ours, and to be seen
            outcome = outcome or recording.failed(error)
        finally:
            if outcome is not None:
                self._iterable = self._iterator = None  # type: ignore[assignment]
                recording.finish_soon(outcome)

    async def _advance(self, iterator: AsyncIterator[Any]) -> None:
        channel, data = encode(await anext(iterator))
        end = self._recording.append(channel, data)
        with self._lock:
            self._demand.made(end)
        await asyncio.sleep(0)  # a generator that never awaits must not block the loop

    async def _wait(self) -> bool:
        """Wait briefly for more demand, or a stop; return whether there is demand."""
        assert self._news is not None
        self._news.clear()
        if self._demand.more:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _IDLE_SECONDS)
        return self._demand.more

    async def _close(self, iterator: AsyncIterator[Any] | None) -> Outcome:
        """Close the iterator, and return the outcome of a run that was stopped."""
        close = getattr(iterator, "aclose", None)
        try:
            if close is not None:
                with contextlib.suppress(StopAsyncIteration):
                    await close()
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                return self._recording.failed(error)
        return self._recording.outcome(None)
