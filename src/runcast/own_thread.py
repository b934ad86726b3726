"""Awaiting a call that may block for as long as some program likes. Imports nothing of ours."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["in_own_thread"]

Params = ParamSpec("Params")
Result = TypeVar("Result")


async def in_own_thread(
    call: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
) -> Result:
    """Await a call that is made in a thread of its own.

    Not one of the loop's own few threads: those would soon be in use, and the loop's end waits
    for them.
    """
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

    threading.Thread(target=work, name="runcast waits", daemon=True).start()
    return await done
