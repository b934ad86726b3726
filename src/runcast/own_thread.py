"""Threads, also where the system has none left: begun with a clear error, and awaited.

Owns the answer to "can't start new thread", which is how Python says that there are too many
processes. Knows nothing of what the threads do.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from runcast.errors import SupervisorLost
from runcast.shortages import TOO_MANY_PROCESSES, is_thread_refusal

__all__ = ["begin", "in_own_thread", "in_pool"]

Params = ParamSpec("Params")
Result = TypeVar("Result")


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


async def in_pool(call: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
    """Await a call that is made in one of the loop's own threads, as `asyncio.to_thread` does.

    Where the pool may have no further thread, the call is made here: better a loop that waits for a
    disk than no answer. A pool that cannot grow keeps the call in its queue all the same, so whoever
    comes first makes it, once.
    """
    import asyncio  # like below: the command line, which begins threads here, has no event loop

    future: Future[Result] = Future()
    work = partial(copy_context().run, call, *args, **kwargs)

    def once() -> None:
        if not first.acquire(blocking=False) or not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    first = threading.Lock()
    try:
        asyncio.get_running_loop().run_in_executor(None, once)
    except RuntimeError as error:
        if not is_thread_refusal(error):
            raise
        once()
    return await asyncio.wrap_future(future)


async def in_own_thread(
    call: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
) -> Result:
    """Await a call that is made in a thread of its own.

    Not one of the loop's own few threads: those would soon be in use, and the loop's end waits
    for them.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def tell(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result, failed = None, None
        try:
            result = call(*args, **kwargs)
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(tell, result, failed)

    begin(threading.Thread(target=work, name="runcast waits", daemon=True))
    return await done
