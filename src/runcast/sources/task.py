"""Coroutines as runs: awaited in a task of the caller's event loop, or of runcast's own.

Owns the boundary to the loop: a stop cancels the task, a cancelled task ends the run. Nothing here may
block the loop: the end of a run, which waits for the disk, is handled in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any

from runcast.errors import UsageError
from runcast.loaded import loaded
from runcast.model import Outcome
from runcast.own_thread import Background, begin
from runcast.sources.recording import Recording
from runcast.sources.returned import as_value
from runcast.sysio.forks import at_fork

__all__ = ["context_for", "loop_for_run", "own_loop", "run_task", "running_loop"]


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if one does."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def loop_for_run() -> asyncio.AbstractEventLoop:
    """Return the event loop for a run's task: the one that runs here, or runcast's own.

    Also runcast's own if the loop here ends with the present call: an `async def` view of Flask, or of
    Django under WSGI, runs in a loop of asgiref that is closed before the response is sent.

    Raises:
        SupervisorLost: no thread can be started.
        UsageError: see `own_loop`.
    """
    loop = running_loop()
    return own_loop() if loop is None or _is_for_one_call(loop) else loop


def _is_for_one_call(loop: asyncio.AbstractEventLoop) -> bool:
    asgiref = loaded("asgiref.sync")
    return asgiref is not None and loop in getattr(asgiref.AsyncToSync, "loop_thread_executors", ())


def context_for(loop: asyncio.AbstractEventLoop) -> Context:
    """Return a copy of the present context for a run in that loop.

    asgiref keeps an executor in the context, so that blocking calls (`sync_to_async`, Django's database)
    run in the thread that waits for the present call. A run in another loop outlives that thread, so
    the executor is removed.
    """
    context = copy_context()
    asgiref = loaded("asgiref.sync")
    if asgiref is not None and running_loop() is not loop:
        context.run(setattr, asgiref.AsyncToSync.executors, "current", None)
    return context


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()


def own_loop() -> asyncio.AbstractEventLoop:
    """Return runcast's own event loop, which runs in a thread, for callers without one.

    Raises:
        SupervisorLost: no thread can be started.
        UsageError: gevent is active: its threads are one, in which a loop would block the others.
    """
    monkey = loaded("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        raise UsageError(
            "expected a def function or generator, got an async one, whose event loop needs a thread of "
            "its own: with gevent there is none, so write it with def, or serve with threads"
        )
    global _loop
    with _loop_lock:
        if _loop is None or _loop.is_closed():
            made = asyncio.new_event_loop()
            thread = Background(target=made.run_forever, name="runcast loop")
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
        except Exception as error:  # before or behind the code: a fault of ours, and to be seen
            outcome = outcome or recording.failed(error)
        finally:
            recording.finish_soon(outcome or recording.outcome(None))

    def cancelled() -> Outcome:
        stopping = recording.stopping is not None
        return recording.outcome(None if stopping else 1, "" if stopping else "its task was cancelled")

    def done(task: asyncio.Task[None]) -> None:
        if not begun:  # cancelled before its first step, most likely because the loop ended
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
        except RuntimeError:  # the loop is closed: the task will never continue
            recording.finish_soon(recording.outcome(None))

    recording.loop = loop
    recording.raises = False  # other tasks share the thread
    recording.interrupt = recording.force_stop = interrupt
    if running_loop() is loop:
        begin_task()
    else:
        loop.call_soon_threadsafe(begin_task, context=context_for(loop))


def _forget() -> None:
    global _loop, _loop_lock
    _loop, _loop_lock = None, threading.Lock()


at_fork(_forget)
