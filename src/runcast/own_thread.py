"""Starting and awaiting threads, with a clear error where the system has none left.

Owns the handling of "can't start new thread", which is Python's error for too many processes. Knows
nothing of what the threads do.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from runcast import loggers
from runcast.errors import SupervisorLost
from runcast.loaded import loaded
from runcast.shortages import TOO_MANY_PROCESSES, is_thread_refusal

if TYPE_CHECKING:
    import asyncio

__all__ = ["Background", "begin", "in_event_loop", "in_own_thread", "in_pool", "wait_for"]

Params = ParamSpec("Params")
Result = TypeVar("Result")

_loop: ContextVar[asyncio.AbstractEventLoop] = ContextVar("runcast loop")  # which waits for this thread


class Background(threading.Thread):
    """A thread of ours that nobody waits for. An error that ends it is logged, and printed nowhere."""

    def __init__(
        self, target: Callable[..., object], name: str, args: tuple[object, ...] = (), *, daemon: bool = True
    ) -> None:
        super().__init__(target=target, name=name, args=args, daemon=daemon)

    def run(self) -> None:
        """Do what it is there for."""
        try:
            super().run()
        except Exception as error:
            loggers.error("threads", "thread %r ended by an error", self.name, failure=error)


def begin(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        SupervisorLost: there are too many processes and threads.
    """
    try:
        thread.start()
    except RuntimeError as error:
        if not is_thread_refusal(error):  # it was started before, or the interpreter ends
            raise
        raise SupervisorLost(
            f"expected a thread for {thread.name!r}, none can be started: {TOO_MANY_PROCESSES.what}: "
            f"{TOO_MANY_PROCESSES.advice}"
        ) from None


def in_event_loop() -> bool:
    """Return whether this thread runs an event loop at this moment, so that blocking it blocks others."""
    asyncio = loaded("asyncio")  # where nobody has imported it, no loop runs
    return asyncio is not None and asyncio._get_running_loop() is not None


def wait_for(awaitable: Awaitable[Result]) -> Result:
    """Return the result of an awaitable, blocking this thread.

    It is awaited in the loop for which `in_pool` or `in_own_thread` made this call, so it can use
    objects of that loop; elsewhere in a new loop.
    """
    import asyncio

    async def outcome() -> Result:
        return await awaitable

    loop = _loop.get(None)
    if loop is None or in_event_loop():
        return asyncio.run(outcome())
    return asyncio.run_coroutine_threadsafe(outcome(), loop).result()


def _context(loop: asyncio.AbstractEventLoop) -> Context:
    """Return the context of the awaiting task, for the thread."""
    context = copy_context()
    context.run(_loop.set, loop)
    return context


async def in_pool(call: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
    """Await a call that is made in one of the loop's own threads, as `asyncio.to_thread` does.

    If the pool cannot start a thread, the call is made here: better a loop that waits for a disk than
    no reply. The pool still has the call in its queue; it is made once, by whichever of the two is
    first.
    """
    import asyncio  # like below: the command line, which begins threads here, has no event loop
    from concurrent.futures import Future  # imports `logging`

    loop = asyncio.get_running_loop()
    future: Future[Result] = Future()
    work = partial(_context(loop).run, call, *args, **kwargs)

    def once() -> None:
        if not first.acquire(blocking=False) or not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    first = threading.Lock()
    try:
        loop.run_in_executor(None, once)
    except RuntimeError as error:
        if not is_thread_refusal(error):
            raise
        once()
    return await asyncio.wrap_future(future)


async def in_own_thread(
    call: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
) -> Result:
    """Await a call that is made in a thread of its own.

    Not in the loop's pool: its few threads would soon all be in use, and the loop waits for them at
    its end.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    context = _context(loop)
    done: asyncio.Future[Result] = loop.create_future()

    def finish(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result, failed = None, None
        try:
            result = context.run(call, *args, **kwargs)
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks are gone
            loop.call_soon_threadsafe(finish, result, failed)

    begin(Background(target=work, name="runcast waits"))
    return await done
