"""Coroutines as runs: awaited in a task, of the caller's event loop or of one of ours.

Owns the way into a loop and out of it: a stop cancels the task, a cancelled task ends the run.
Nothing here may block the loop: the end of a run, which waits for the disk, is a thread's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any

from runcast.model import Outcome
from runcast.own_thread import begin
from runcast.sources.recording import Recording, as_value

__all__ = ["own_loop", "run_task", "running_loop"]


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if one does."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()


def own_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop of our own, in a thread of its own, for callers who have none.

    Raises:
        SupervisorLost: no thread can be started.
    """
    global _loop
    with _loop_lock:
        if _loop is None or _loop.is_closed():
            made = asyncio.new_event_loop()
            thread = threading.Thread(target=made.run_forever, name="runcast loop", daemon=True)
            try:
                Context().run(begin, thread)
            except BaseException:
                made.close()
                raise
            _loop = made
        return _loop


def run_task(
    recording: Recording, awaitable: Callable[[], Awaitable[Any]], loop: asyncio.AbstractEventLoop
) -> None:
    """Await something in a task of a loop, which is the run."""

    begun = False

    async def work() -> None:
        nonlocal begun
        begun = True
        outcome: Outcome | None = None
        try:
            with recording.recording():
                try:
                    outcome = recording.outcome(0, value=as_value(await awaitable()))
                except asyncio.CancelledError:
                    outcome = cancelled()
                    if recording.stopping is None:
                        raise
                except BaseException as error:
                    outcome = recording.failed(error)
                    if isinstance(error, KeyboardInterrupt):
                        raise
        finally:
            recording.finish_soon(outcome or recording.outcome(None))

    def cancelled() -> Outcome:
        stopping = recording.stopping is not None
        return recording.outcome(None if stopping else 1, "" if stopping else "its task was cancelled")

    def done(task: asyncio.Task[None]) -> None:
        if not begun:  # cancelled before its first step, by the end of the loop most likely
            recording.finish_soon(cancelled())

    tasks: list[asyncio.Task[None]] = []

    def begin_task() -> None:
        tasks.append(loop.create_task(work(), name=f"run {recording.id}"))
        tasks[0].add_done_callback(done)

    def cancel() -> None:
        for task in tasks:
            task.cancel()

    def interrupt() -> None:
        try:
            loop.call_soon_threadsafe(cancel)
        except RuntimeError:  # the loop is closed: the task will never go on
            recording.finish_soon(recording.outcome(None))

    recording.loop = loop
    recording.raises = False  # other tasks share the thread
    recording.interrupt = recording.insist = interrupt
    if running_loop() is loop:
        begin_task()
    else:
        context = copy_context()
        loop.call_soon_threadsafe(begin_task, context=context)


def _forget() -> None:
    global _loop, _loop_lock
    _loop, _loop_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
